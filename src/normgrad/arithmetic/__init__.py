"""Arithmetic on arrays of any library: the lowest layer, and the one importer of array-api-compat."""

from normgrad.arithmetic.namespace import (
    Array,
    branch,
    divide,
    is_complex,
    is_jax,
    is_readable,
    is_torch,
    is_traced,
    machine_epsilon,
    adjoint,
    namespace,
    sometimes,
)
from normgrad.arithmetic.scaling import exponent, largest, shift, within_safe_range
from normgrad.arithmetic.sums import blocked_sum, frobenius

__all__ = [
    "Array",
    "blocked_sum",
    "branch",
    "divide",
    "exponent",
    "frobenius",
    "is_complex",
    "is_jax",
    "is_readable",
    "is_torch",
    "is_traced",
    "largest",
    "machine_epsilon",
    "adjoint",
    "namespace",
    "shift",
    "sometimes",
    "within_safe_range",
]
