"""The conformance table: every norm x matrix x factorization x engine.

Norms, factorizations and engines are taken from the library's own tables, so that a new one
is tested as soon as it stands there.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

import normgrad
from normgrad.factorizations import TABLE as FACTORIZATIONS
from normgrad.norms import ALIASES, UnitarilyInvariantNorm, resolve
from tests import oracle
from tests.conftest import orthonormal
from tests.differentiators import DIFFERENTIATORS

NORMS = [*ALIASES, normgrad.Schatten(1.5), normgrad.Schatten(3), normgrad.KyFan(2)]
METHODS = ["auto", *(factorization.name for factorization in FACTORIZATIONS)]


class Case(NamedTuple):
    """A matrix with its singular values, exactly known."""

    name: str
    A: Any
    s: tuple[float, ...]


def _cases() -> list[Case]:
    rng = np.random.default_rng(7)

    def make(name: str, s: tuple[float, ...], m: int, n: int, is_complex: bool = False) -> Case:
        U, V = (orthonormal(rng, size, len(s), is_complex) for size in (m, n))
        return Case(name, (U * np.asarray(s)) @ V.conj().T, s)

    distinct, tied_top, tied_low = (3.0, 1.7, 0.6), (3.0, 3.0, 1.0), (5.0, 1.0, 1.0)
    return [
        make("tall", distinct, 4, 3),
        make("wide", distinct, 3, 4),
        make("square", distinct, 3, 3),
        make("complex", distinct, 4, 3, is_complex=True),
        make("tied top", tied_top, 4, 3),
        make("tied top, complex", tied_top, 4, 3, is_complex=True),
        make("tied low", tied_low, 4, 3),
        make("rank 2", (2.0, 1.0, 0.0), 4, 3),
        make("rank 1, square", (2.0, 0.0, 0.0), 3, 3),
        make("orthogonal", (1.0, 1.0, 1.0), 3, 3),
        Case("identity", np.eye(3), (1.0, 1.0, 1.0)),
        Case("diagonal", np.diag([1.0, -3.0, 2.0]) @ np.eye(3, 4), (3.0, 2.0, 1.0)),
        Case("diagonal, complex", np.diag([2j, 3 + 0j, -2]) @ np.eye(3, 4), (3.0, 2.0, 2.0)),
        Case("zero", np.zeros((3, 4)), (0.0, 0.0, 0.0)),
    ]


CASES = _cases()
table = pytest.mark.parametrize(
    ("engine", "ord", "case"),
    [
        pytest.param(engine, ord, case, id=f"{engine}-{ord}-{case.name}")
        for engine in DIFFERENTIATORS
        for ord in NORMS
        for case in CASES
    ],
)


def _direction(A: Any) -> Any:
    rng = np.random.default_rng(11)
    E = rng.standard_normal(A.shape)
    return E + 1j * rng.standard_normal(A.shape) if np.iscomplexobj(A) else E


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


@table
def test_first_order(engine: str, ord: Any, case: Case) -> None:
    """Value, gradient, slope, Euler's identity and dual norm; the input is not written."""
    library, A = DIFFERENTIATORS[engine], case.A.copy()
    A.flags.writeable = False
    expected, G = oracle.value(A, case.s, ord), oracle.gradient(A, case.s, ord)

    assert float(library.value(A, ord)) == pytest.approx(expected, rel=1e-13, abs=1e-15)
    received = library.gradient(A, ord)
    assert received.dtype == A.dtype
    np.testing.assert_allclose(received, G, atol=2e-14, rtol=0)
    np.testing.assert_array_equal(A, case.A)

    E = _direction(A)
    assert float(library.slope(A, E, ord)) == pytest.approx(inner(G, E), abs=1e-13)
    is_norm = isinstance(ord, normgrad.KyFan | normgrad.Schatten) or ord not in (-1, -2, -math.inf)
    if is_norm:
        assert inner(received, A) == pytest.approx(expected, rel=1e-13, abs=1e-15)
        assert oracle.dual_norm(received, ord) <= 1 + 1e-13


@table
def test_second_order(engine: str, ord: Any, case: Case) -> None:
    """Both modes against differences; self-adjoint; 0 along the matrix itself."""
    library, A, E = DIFFERENTIATORS[engine], case.A, _direction(case.A)
    expected = oracle.hvp(A, E, case.s, ord)
    if case.name in ("identity", "zero") or case.name.startswith("diagonal"):
        expected = _along_the_same_zeros(A, E, case.s, ord, expected)

    reverse, forward = (f(A, E, ord) for f in (library.hvp_reverse, library.hvp_forward))
    assert np.all(np.isfinite(reverse))
    np.testing.assert_allclose(reverse, expected, atol=2e-8 * max(1, abs(expected).max()))
    np.testing.assert_allclose(forward, reverse, atol=1e-13)
    if engine == "numpy":
        other = _direction(case.A)[::-1] * 0.5 + 1
        assert inner(other, library.hvp_reverse(A, E, ord)) == pytest.approx(
            inner(library.hvp_reverse(A, other, ord), E), abs=1e-12
        )
        np.testing.assert_allclose(library.hvp_reverse(A, A, ord), 0, atol=1e-13)


def _along_the_same_zeros(A: Any, E: Any, s: Any, ord: Any, expected: Any) -> Any:
    """For the norms of entries: move the nonzero entries alone, without leaving a tie."""
    norm = resolve(ord)
    if isinstance(norm, UnitarilyInvariantNorm):
        return expected
    if not np.iscomplexobj(A):
        return np.zeros_like(A)
    G = oracle.gradient(A, s, ord)
    size = np.where(A == 0, 1, np.abs(A))
    sign = A / size
    return np.abs(G) * (E - sign * np.real(np.conj(sign) * E)) / size


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("ord", NORMS, ids=str)
def test_factorizations_agree(ord: Any, case: Case, method: str) -> None:
    """Every factorization that accepts the matrix gives the same; the others say why not."""
    norm, A, E = resolve(ord), case.A, _direction(case.A)
    if method != "auto" and not isinstance(norm, UnitarilyInvariantNorm):
        with pytest.raises(ValueError, match="norm of entries"):
            normgrad.matrix_norm(A, ord, method=method)
        return
    try:
        value, G = normgrad.value_and_grad(A, ord, method=method)
    except ValueError as error:
        # (which matrices each of them takes is tested with it)
        if method in ("auto", "svd", "qr") or "can not be used for this matrix" not in str(error):
            raise
        return
    assert float(value) == pytest.approx(oracle.value(A, case.s, ord), rel=1e-13, abs=1e-15)
    np.testing.assert_allclose(G, oracle.gradient(A, case.s, ord), atol=2e-14, rtol=0)
    dG = normgrad.hvp(A, E, ord, method=method)
    np.testing.assert_allclose(dG, normgrad.hvp(A, E, ord), atol=1e-12)
    if method != "auto":
        assert normgrad.explain(A, ord, method=method).factorization == method


@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
@pytest.mark.parametrize("ord", NORMS, ids=str)
def test_batches_and_axes(engine: str, ord: Any) -> None:
    """A batch is its matrices one by one, along any axes, also with a zero and a tie in it."""
    library = DIFFERENTIATORS[engine]
    A = np.stack(
        [case.A for case in CASES if case.A.shape == (4, 3) and "complex" not in case.name]
    )
    A[0] = 0
    E = _direction(A)
    values = [float(normgrad.matrix_norm(M, ord)) for M in A]
    gradients = np.stack([normgrad.grad(M, ord) for M in A])
    products = np.stack([normgrad.hvp(M, D, ord) for M, D in zip(A, E, strict=True)])
    for axis in ((-2, -1), (2, 0)):
        there = lambda X: np.ascontiguousarray(np.moveaxis(X, (-2, -1), axis))  # noqa: B023, E731
        received = library.value(there(A), ord, axis=axis)
        np.testing.assert_allclose(received, values, rtol=1e-13, atol=1e-15)
        kept = library.value(there(A), ord, axis=axis, keepdims=True)
        assert kept.shape == ((len(A), 1, 1) if axis == (-2, -1) else (1, len(A), 1))
        G = library.gradient(there(A), ord, axis=axis)
        np.testing.assert_allclose(G, there(gradients), atol=1e-13)
        dG = library.hvp_reverse(there(A), there(E), ord, axis=axis)
        np.testing.assert_allclose(dG, there(products), atol=1e-12)


@pytest.mark.parametrize("ord", NORMS, ids=str)
def test_unitary_invariance_and_homogeneity(ord: Any, rng: Any) -> None:
    """||U A V|| = ||A||, G(UAV) = U G V; ||c A|| = |c| ||A||, G(cA) = c/|c| G."""
    A = CASES[5].A
    value, G = normgrad.value_and_grad(A, ord)
    scaled, G_scaled = normgrad.value_and_grad((3 - 4j) * A, ord)
    assert float(scaled) == pytest.approx(5 * float(value), rel=1e-13)
    np.testing.assert_allclose(G_scaled, (3 - 4j) / 5 * G, atol=1e-14)
    if not isinstance(resolve(ord), UnitarilyInvariantNorm):
        return
    U, V = orthonormal(rng, 4, 4, True), orthonormal(rng, 3, 3, True)
    turned, G_turned = normgrad.value_and_grad(U @ A @ V, ord)
    assert float(turned) == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(G_turned, U @ G @ V, atol=2e-14)


@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
@pytest.mark.parametrize("case", CASES[:10], ids=lambda case: case.name)
def test_prox(engine: str, ord: Any, case: Case) -> None:
    """Moreau: (A - P)/t is in the subdifferential at P; the derivative is right in A and t."""
    library, A, E, t = DIFFERENTIATORS[engine], case.A, _direction(case.A), 0.8
    P = library.prox(A, t, ord)
    dual = (A - P) / t
    assert oracle.dual_norm(dual, ord) <= 1 + 1e-13
    s = np.linalg.svd(P, compute_uv=False)
    assert inner(dual, P) == pytest.approx(oracle.value(P, s, ord), abs=1e-13)

    dP = library.prox_jvp(A, t, E, 0.3, ord)
    if dP is not None:
        h = 1e-5
        ahead, behind = (normgrad.prox(A + c * h * E, t + c * h * 0.3, ord) for c in (1, -1))
        np.testing.assert_allclose(dP, (ahead - behind) / (2 * h), atol=1e-8)
