"""Arithmetic on arrays of any library; the one importer of array-api-compat."""

from normgrad.arithmetic.entries import phase, real_inner
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
    read_integer,
    seen,
    sometimes,
)
from normgrad.arithmetic.scaling import (
    exponent,
    largest,
    safe_exponent,
    shift,
    within_safe_range,
)
from normgrad.arithmetic.sums import absolute_sum, frobenius

__all__ = [
    "Array",
    "absolute_sum",
    "adjoint",
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
    "phase",
    "read_integer",
    "real_inner",
    "safe_exponent",
    "seen",
    "shift",
    "sometimes",
    "within_safe_range",
]
