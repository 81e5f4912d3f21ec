"""The convex toolkit against the libraries that have a part of it, and against a solver."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import normgrad

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # (of their imports)
    import cvxpy
    import pyproximal
    from tensorly.tenalg import proximal


def ky_fan(Z: Any, k: int) -> Any:
    """By the eigenvalues of the Hermitian dilation."""
    m, n = Z.shape
    dilation = cvxpy.bmat([[np.zeros((m, m)), Z], [Z.H, np.zeros((n, n))]])
    return cvxpy.lambda_sum_largest(dilation, k)


NORMS: dict[Any, Callable[[Any], Any]] = {
    "fro": lambda Z: cvxpy.norm(Z, "fro"),
    "nuc": cvxpy.normNuc,
    2: cvxpy.sigma_max,
    1: lambda Z: cvxpy.max(cvxpy.sum(cvxpy.abs(Z), axis=0)),
    np.inf: lambda Z: cvxpy.max(cvxpy.sum(cvxpy.abs(Z), axis=1)),
    normgrad.KyFan(2): lambda Z: ky_fan(Z, 2),
    normgrad.Squared("nuc"): lambda Z: cvxpy.square(cvxpy.normNuc(Z)),
    normgrad.Squared(1): lambda Z: cvxpy.square(cvxpy.max(cvxpy.sum(cvxpy.abs(Z), axis=0))),
}


def solved(objective: Any, Z: Any, *constraints: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cvxpy.Problem(cvxpy.Minimize(objective), list(constraints)).solve(
            solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
        )
    return Z.value


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("ord", list(NORMS), ids=str)
def test_a_solver_finds_the_same(ord: Any, is_complex: bool, rng: Any) -> None:
    A = rng.standard_normal((4, 3)) + (1j * rng.standard_normal((4, 3)) if is_complex else 0)
    Z = cvxpy.Variable((4, 3), complex=is_complex)
    norm, distance = NORMS[ord], cvxpy.sum_squares(cvxpy.abs(Z - A))
    close = {"atol": 3e-5}  # (the square root of what a solver is right to)
    np.testing.assert_allclose(
        normgrad.prox(A, 0.4, ord), solved(0.4 * norm(Z) + distance / 2, Z), **close
    )
    if isinstance(ord, normgrad.Squared):
        return
    np.testing.assert_allclose(
        normgrad.project(A, 0.7, ord), solved(distance, Z, norm(Z) <= 0.7), **close
    )
    inner = cvxpy.sum(cvxpy.multiply(A.conj(), Z))
    inner = cvxpy.real(inner) if is_complex else inner
    least = float(np.sum(A.conj() * solved(inner, Z, norm(Z) <= 0.7)).real)
    point = normgrad.lmo(A, 0.7, ord)
    assert float(np.sum(A.conj() * point).real) == pytest.approx(least, abs=1e-6)
    assert 0.7 * float(normgrad.dual_norm(A, ord)) == pytest.approx(-least, abs=1e-6)
    assert float(normgrad.matrix_norm(point, ord)) <= 0.7 + 1e-12


@pytest.mark.parametrize("shape", [(6, 4), (3, 5)])
@pytest.mark.parametrize("is_complex", [False, True])
def test_proximal_operators_of_pyproximal(shape: Any, is_complex: bool, rng: Any) -> None:
    A = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if is_complex else 0)
    weights = np.array([2.0, 1.0, 0.5])
    for theirs, ours in (
        (pyproximal.Nuclear(shape, 1.5).prox(A.ravel(), 0.4), normgrad.prox(A, 0.6, "nuc")),
        (pyproximal.Euclidean(1.5).prox(A.ravel(), 0.4), normgrad.prox(A, 0.6, "fro")),
        (
            pyproximal.EuclideanBall(0.0, 2.0).prox(A.ravel(), 1.0),
            normgrad.project(A, 2.0, "fro"),
        ),
    ):
        np.testing.assert_allclose(ours.ravel(), theirs, atol=1e-13)
    ball = pyproximal.NuclearBall(shape, 2.0, maxiter=200, xtol=1e-13)
    theirs = ball.prox(A.ravel(), 1.0).reshape(shape)
    np.testing.assert_allclose(normgrad.project(A, 2.0, "nuc"), theirs, atol=1e-11)
    sigma = np.concatenate([weights, np.zeros(min(shape) - 3)])
    theirs = pyproximal.Nuclear(shape, sigma).prox(A.ravel(), 0.2).reshape(shape)
    s = np.linalg.svd(A, compute_uv=False) - 0.2 * sigma
    assert np.all(np.diff(s) <= 0)  # (else theirs is none)
    np.testing.assert_allclose(
        normgrad.prox(A, 0.2, normgrad.WeightedNuclear(weights)), theirs, atol=1e-13
    )


def test_proximal_operators_of_tensorly(rng: Any) -> None:
    A = rng.standard_normal((6, 4))
    theirs = proximal.svd_thresholding(A, 0.6)
    np.testing.assert_allclose(normgrad.prox(A, 0.6, "nuc"), theirs, atol=1e-13)
    np.testing.assert_allclose(normgrad.polar(A), proximal.procrustes(A), atol=1e-13)


@pytest.mark.parametrize("s", [[3, 2.5, 2, 0.9, 0.3], [3, 3, 1, 1, 0.2], [2] * 5, [3, 1, 0, 0, 0]])
@pytest.mark.parametrize("shape", [(5, 5), (7, 5), (5, 8)])
def test_maps_and_derivatives_of_fastprox(
    shape: Any, s: Any, with_singular_values: Any, rng: Any
) -> None:
    fastprox: Any = pytest.importorskip("fastprox")  # it needs Python 3.12
    A, E = with_singular_values(s, *shape), rng.standard_normal(shape)
    weights = np.array([2.0, 1.5, 1.2, 0.5, 0.1])
    for theirs, t, ours, ord in (
        (fastprox.NuclearNorm(1.0), 0.7, normgrad.prox, "nuc"),
        (fastprox.Spectral(fastprox.LInf(1.0)), 0.7, normgrad.prox, 2),
        (fastprox.SpectralNormBall(1.1), 1.1, normgrad.project, 2),
        (fastprox.Spectral(fastprox.L1Ball(1.7)), 1.7, normgrad.project, "nuc"),
        (
            fastprox.WeightedNuclearNorm(np.array([1.0, 1, 0, 0, 0])),
            0.7,
            normgrad.prox,
            normgrad.KyFan(2),
        ),
        (
            fastprox.WeightedNuclearNorm(weights),
            0.45,
            normgrad.prox,
            normgrad.WeightedNuclear(weights),
        ),
        (
            fastprox.Spectral(fastprox.Huber(1.0, 0.5)),
            0.7,
            normgrad.prox,
            normgrad.HuberNuclear(0.5),
        ),
    ):
        P, context = theirs.prox(A, t, keep=True)
        np.testing.assert_allclose(ours(A, t, ord), P, atol=1e-13)
        found = torch.func.jvp(
            lambda x: ours(x, t, ord),  # noqa: B023
            (torch.from_numpy(A),),
            (torch.from_numpy(E),),
        )[1]
        np.testing.assert_allclose(found, theirs.jvp(context, E), atol=1e-12)
