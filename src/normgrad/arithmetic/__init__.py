"""Arithmetic on arrays of any library; the one importer of array-api-compat."""

from normgrad.arithmetic.namespace import (
    Array,
    adjoint,
    branch,
    divide,
    identity,
    integers,
    is_complex,
    is_jax,
    is_readable,
    is_torch,
    is_traced,
    machine_epsilon,
    namespace,
    seen,
    sometimes,
)
from normgrad.arithmetic.scaling import exponent, largest, shift, within_safe_range
from normgrad.arithmetic.sums import blocked_sum, frobenius

__all__ = [
    "Array",
    "adjoint",
    "blocked_sum",
    "branch",
    "divide",
    "exponent",
    "frobenius",
    "identity",
    "integers",
    "is_complex",
    "is_jax",
    "is_readable",
    "is_torch",
    "is_traced",
    "largest",
    "machine_epsilon",
    "namespace",
    "seen",
    "shift",
    "sometimes",
    "within_safe_range",
]
