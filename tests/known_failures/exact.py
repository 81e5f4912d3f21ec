"""Matrices with known derivatives, and what is asked of each engine.

The matrices have rational singular vectors, so that entries, singular values and ties are exact.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch

import normgrad

ENGINES = ("numpy", "torch", "jax", "autograd")
every_engine = pytest.mark.parametrize("engine", ENGINES)

VALUE_TOLERANCE = 1e-14
GRADIENT_TOLERANCE = 1e-13
PRODUCT_TOLERANCE = 1e-13
SMALLEST = 5e-324


# --- what is asked of each engine ---


class Derivatives(NamedTuple):
    """The norm of each matrix, its gradient, and the Hessian product in one direction."""

    value: Any
    gradient: Any
    product: Any


def by_numpy(norm: Any, A: Any, E: Any) -> Derivatives:
    value, gradient = normgrad.value_and_grad(A, norm)
    np.testing.assert_allclose(normgrad.matrix_norm(A, norm), value, VALUE_TOLERANCE, 2 * SMALLEST)
    return Derivatives(value, gradient, normgrad.hvp(A, E, norm))


def by_torch(norm: Any, A: Any, E: Any, function: Any = normgrad.matrix_norm) -> Derivatives:
    x = torch.tensor(A, requires_grad=True)
    function(x, norm).sum().backward()
    first = x.grad.clone()
    value = function(x, norm)
    (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (product,) = torch.autograd.grad(gradient, x, torch.tensor(E))
    assert torch.equal(first.nan_to_num(7), gradient.detach().nan_to_num(7))
    return Derivatives(value.detach().numpy(), first.numpy(), product.numpy())


def by_jax(norm: Any, A: Any, E: Any, function: Any = normgrad.matrix_norm) -> Derivatives:
    def f(x: Any) -> Any:
        value = function(x, norm)
        return value if value.ndim == 0 else jnp.sum(value)

    x = jnp.asarray(A)
    gradient, product = jax.jvp(jax.grad(f), (x,), (jnp.asarray(E),))
    # JAX's own gradients are conj(G)
    return Derivatives(*map(np.asarray, (function(x, norm), gradient.conj(), product.conj())))


def by_autograd(norm: Any, A: Any, E: Any, function: Any = normgrad.matrix_norm) -> Derivatives:
    def f(x: Any) -> Any:
        return anp.sum(function(x, norm))

    gradient = autograd.grad(f)(A)
    if np.iscomplexobj(A):  # hessian_vector_product is for real functions of real arrays
        product = autograd.make_jvp(autograd.grad(f))(A)(E)[1]
    else:
        product = autograd.hessian_vector_product(f)(A, E)
    # autograd's own gradients are conj(G)
    return Derivatives(function(A, norm), gradient.conj(), product.conj())


BY: dict[str, Callable[..., Derivatives]] = {
    "numpy": by_numpy,
    "torch": by_torch,
    "jax": by_jax,
    "autograd": by_autograd,
}


# --- matrices with known derivatives ---

THREE_U = np.array([[1, 2, 2], [2, 1, -2], [2, -2, 1]]) / 3
THREE_V = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3
FOUR_U = np.eye(4) - np.full((4, 4), 0.5)
POWERS_OF_I = np.array([1, 1j, -1, -1j, 1j, -1])
FOUR_V = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
ISSUE_MATRIX = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])


@dataclasses.dataclass(frozen=True)
class Case:
    """A matrix with its exact norm and derivatives."""

    norm: Any
    A: Any
    value: Any
    gradient: Any
    E: Any
    product: Any


def direction(shape: tuple[int, ...]) -> Any:
    """Return a direction without any symmetry, its entries small integers over 4."""
    return np.random.default_rng(7).integers(-9, 10, shape) / 4


def known(
    norm: Any,
    U: Any,
    s: Any,
    V: Any,
    mu: Any,
    cluster: Any,
    *,
    scale: float = 1.0,
    direction_scale: float = 1.0,
    is_complex: bool = False,
) -> Case:
    """Return the case of ``scale * U diag(s) V^H``; s > 0, the slope mu is constant on clusters.

    The gradient is ``U diag(mu) V^H``. A direction E splits into ``U^H E V``, whose Hermitian
    part turns a pair (i, j) by ``(mu_i - mu_j)/(s_i - s_j)`` (not at all within a cluster),
    whose skew part turns it by ``(mu_i + mu_j)/(s_i + s_j)``; and the parts that lead out of
    the spaces of U and V, which turn vector i by ``mu_i / s_i``.

    With `is_complex` the rows and columns of the matrix are multiplied by powers of i.
    """
    U, V, s, mu = (np.asarray(x, dtype=float) for x in (U, V, s, mu))
    (m, k), n = U.shape, V.shape[0]
    ninths = m == n == 3
    A = (np.rint(3 * U) * s) @ np.rint(3 * V).T if ninths else (U * s) @ V.T
    s = 9 * s if ninths else s
    E = direction(A.shape)
    if is_complex:
        rows, columns = POWERS_OF_I[:m, None], POWERS_OF_I[::-1][:n, None]
        U, V, A = rows * U, columns * V, rows * A * columns.conj().T
        E = E + 1j * direction(A.shape)[::-1, ::-1]
    inside = U.conj().T @ E @ V
    core = np.zeros_like(inside)
    for i in range(k):
        for j in range(k):
            hermitian = (inside[i, j] + inside[j, i].conj()) / 2
            skew = (inside[i, j] - inside[j, i].conj()) / 2
            if cluster[i] != cluster[j]:
                core[i, j] += hermitian * (mu[i] - mu[j]) / (s[i] - s[j])
            core[i, j] += skew * (mu[i] + mu[j]) / (s[i] + s[j])
    product = U @ core @ V.conj().T
    for i in range(k):
        u, v = U[:, i], V[:, i]
        out_left = E @ v - U @ (U.conj().T @ E @ v)
        out_right = u.conj() @ E - (u.conj() @ E @ V) @ V.conj().T
        product = product + (mu[i] / s[i]) * (np.outer(out_left, v.conj()) + np.outer(u, out_right))
    return Case(
        norm,
        A * scale,
        (s.sum() if norm == "nuc" else s.max()) * scale,
        (U * mu) @ V.conj().T,
        E * direction_scale,
        product * (direction_scale / scale),
    )


def frobenius(A: Any, E: Any) -> Case:
    """Return the case of the Frobenius norm at A, in 50 digits from the entries as they are."""
    with mpmath.workdps(50):
        a, e = ([mpmath.mpf(float(t)) for t in X.ravel()] for X in (A, E))
        value = mpmath.sqrt(mpmath.fsum(t * t for t in a))
        gradient = [t / value for t in a]
        along = mpmath.fsum(g * t for g, t in zip(gradient, e, strict=True))
        product = [(t - g * along) / value for g, t in zip(gradient, e, strict=True)]
        G, P = (np.array([float(t) for t in X]).reshape(A.shape) for X in (gradient, product))
        return Case("fro", A, float(value), G, E, P)


def close(actual: Any, expected: Any, tolerance: float) -> bool:
    """Whether the error of each matrix, or number, is small in norm relatively to the matrix."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape or not np.all(np.isfinite(actual)):
        return False
    if expected.size == 0:
        return True
    axes = (-2, -1) if expected.ndim > 1 else ()
    largest = np.max(np.abs(expected), axis=axes, keepdims=True)
    unit = np.where(largest > 0, largest, 1)  # squares of what is divided by it are in range
    error, size = (np.sum(np.abs(x / unit) ** 2, axis=axes) for x in (actual - expected, expected))
    entries = np.prod(expected.shape[-2:]) if axes else 1
    rounding = entries * (2 * SMALLEST / unit.reshape(error.shape)) ** 2
    return bool(np.all(error <= tolerance**2 * size + rounding))


def check(engine: str, case: Case) -> None:
    """Hold an engine's answers against the exact ones."""
    found = BY[engine](case.norm, case.A, case.E)
    for name, tolerance in (
        ("value", VALUE_TOLERANCE),
        ("gradient", GRADIENT_TOLERANCE),
        ("product", PRODUCT_TOLERANCE),
    ):
        actual, expected = getattr(found, name), getattr(case, name)
        assert close(actual, expected, tolerance), (name, actual, expected)


BASE = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5], [2.0, 0.0, 1.0]])


def frobenius_at_zero() -> Case:
    zero = np.zeros((3, 3))
    return Case("fro", zero, 0.0, zero, direction((3, 3)), zero)


def frobenius_scaled(scale: float) -> Case:
    # in a direction of size 1 the product at 1e-310 would be beyond the largest number
    return frobenius(BASE * scale, direction((3, 3)) * (scale if scale == 1e-310 else 1.0))


def frobenius_batch() -> Case:
    E = direction((2, 3, 3))
    cases = frobenius(BASE, E[0]), frobenius(-3 * BASE, E[1])
    zero = frobenius_at_zero()
    fields = zip(*(dataclasses.astuple(c)[1:] for c in (cases[0], zero, cases[1])), strict=True)
    return Case("fro", *map(np.stack, fields))


def spectral(s: Any = (3, 2, 1), **how: Any) -> Case:
    return known(2, THREE_U, s, THREE_V, (1, 0, 0), (0, 1, 2), **how)


def spectral_tiny() -> Case:
    return spectral(scale=1e-310, direction_scale=1e-310)


def spectral_empty() -> Case:
    empty = np.zeros((0, 3))
    return Case(2, empty, 0.0, empty, empty, empty)


def spectral_orthogonal(**how: Any) -> Case:
    return known(2, FOUR_U, (1,) * 4, FOUR_V, (1 / 4,) * 4, (0,) * 4, **how)


def spectral_identity() -> Case:
    return known(2, np.eye(4), (1,) * 4, np.eye(4), (1 / 4,) * 4, (0,) * 4)


def spectral_tied_top(**how: Any) -> Case:
    return known(2, THREE_U, (3, 3, 1), THREE_V, (0.5, 0.5, 0), (0, 0, 1), **how)


def spectral_diagonal() -> Case:
    return known(2, np.eye(4), (3, 2, 2, 1), np.eye(4), (1, 0, 0, 0), (0, 1, 1, 2))


def nuclear(s: Any, **how: Any) -> Case:
    # mu is 1 throughout: whether singular values are tied can not matter
    return known("nuc", THREE_U, s, THREE_V, (1, 1, 1), (0, 0, 0), **how)


def nuclear_of_four(U: Any, s: Any, V: Any) -> Case:
    return known("nuc", U, s, V, (1,) * 4, (0,) * 4)


def nuclear_identity() -> Case:
    return nuclear_of_four(np.eye(4), (1,) * 4, np.eye(4))


def nuclear_low_rank(**how: Any) -> Case:
    U = np.array([[1, 1, 1, 1, 0, 0], [1, -1, 0, 0, 1, 1]]).T / 2
    V = np.array([[1, 1, 1, 1, 0], [1, -1, 1, -1, 0]]).T / 2
    return known("nuc", U, (3, 1), V, (1, 1), (0, 0), **how)


def nuclear_near_tie(**how: Any) -> Case:
    return nuclear((2, 1 + 2.0**-40, 1), **how)
