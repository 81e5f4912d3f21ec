"""Eigenpairs of tridiagonal matrices against mpmath, and against LAPACK by their residuals."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from normgrad.factorizations.tridiagonal import largest_eigenpairs

compiled = jax.jit(largest_eigenpairs, static_argnums=3)


def matrices(rng: Any) -> dict[str, tuple[Any, Any]]:
    """Return diagonals and what is next to them."""
    glued = np.ones(41)
    glued[20] = 1e-9
    split = np.r_[np.ones(9), 0, np.full(5, 0.5)]
    return {
        "random": (rng.standard_normal(60), rng.standard_normal(59)),
        "second difference": (np.full(101, 2.0), np.ones(100)),
        "Wilkinson": (abs(np.arange(-10.0, 11)), np.ones(20)),
        "two of Wilkinson's, glued": (np.tile(abs(np.arange(-10.0, 11)), 2), glued),
        "graded down": (10.0 ** -np.arange(40), 10.0 ** -np.arange(39) / 3),
        "graded up": (10.0 ** np.arange(-39.0, 1), 10.0 ** np.arange(-38.0, 1) / 3),
        "cluster": (1 + 1e-10 * rng.standard_normal(60), 1e-10 * rng.standard_normal(59)),
        "split": (np.r_[np.full(10, 2.0), np.full(6, 3.0)], split),
        "diagonal": (np.arange(9.0), np.zeros(8)),
        "negative": (np.full(30, -2.0), np.full(29, 0.25)),
        "zero": (np.zeros(5), np.zeros(4)),
        "one row": (np.array([3.0]), np.zeros(0)),
    }


SIZE, WANTED = 110, 3  # one size for all: compiled once
NAMES = list(matrices(np.random.default_rng(0)))


def pairs(alpha: Any, beta: Any, dtype: Any) -> tuple[Any, Any]:
    """Return the result, compiled, for a matrix followed by rows that are not to be read."""
    n = len(alpha)
    a, b = np.full((2, SIZE), np.nan, dtype=dtype)
    a[:n], b[: n - 1] = alpha, beta
    theta, Y = compiled(jnp.asarray(a), jnp.asarray(b), n, WANTED)
    assert theta.dtype == Y.dtype == dtype
    assert not np.any(Y[n:])
    return np.asarray(theta, dtype=float), np.asarray(Y, dtype=float)[:n]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1.0, 2.0**-60, 2.0**60])
@pytest.mark.parametrize("name", NAMES)
def test_eigenpairs(name: str, scale: float, dtype: Any, rng: Any) -> None:
    alpha, beta = (scale * x for x in matrices(rng)[name])
    alpha, beta = alpha.astype(dtype).astype(float), beta.astype(dtype).astype(float)
    T = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    theta, Y = pairs(alpha, beta, dtype)
    tol = 10 * np.finfo(dtype).eps * np.linalg.norm(T, 2)
    expected = np.r_[np.linalg.eigvalsh(T)[::-1], 0, 0][:WANTED]
    np.testing.assert_allclose(theta, expected, rtol=0, atol=tol)
    # each residual is of rounding level, and what there is of vectors is orthonormal
    assert np.linalg.norm(T @ Y - Y * theta, axis=0).max() <= 2 * tol
    there = np.linalg.norm(Y, axis=0) > 0
    assert there[0]
    kept = Y[:, there]
    np.testing.assert_allclose(kept.T @ kept, np.eye(kept.shape[1]), atol=50 * np.finfo(dtype).eps)
    gaps = -np.diff(theta[: len(alpha)])
    assert there[1 : len(alpha)][gaps > 100 * tol].all()


def test_the_last_component_however_small() -> None:
    """It decides whether Lanczos' method has converged; LAPACK's are rounded to eps."""
    alpha, beta = np.arange(25.0, 0, -1), np.full(24, 0.5)
    with mpmath.workdps(60):
        T = mpmath.diag(list(map(mpmath.mpf, alpha)))
        for i, b in enumerate(beta):
            T[i, i + 1] = T[i + 1, i] = mpmath.mpf(b)
        values, vectors = mpmath.eigsy(T)
        order = sorted(range(25), key=lambda i: -values[i])[:2]
        theta = [float(values[i]) for i in order]
        last = [float(abs(vectors[24, i])) for i in order]
    received, Y = pairs(alpha, beta, np.float64)
    assert last[0] < 1e-25
    np.testing.assert_allclose(received[:2], theta, rtol=2e-15)
    np.testing.assert_allclose(abs(Y[24, :2]), last, rtol=1e-11)


def test_more_than_there_are() -> None:
    theta, Y = pairs([2.0, 1.0], [0.0], np.float64)
    np.testing.assert_allclose(theta, [2, 1, 0], atol=1e-15)
    np.testing.assert_allclose(abs(Y), np.eye(2, 3), atol=1e-15)


def test_numpy_runs_the_same_code(rng: Any) -> None:
    alpha, beta = matrices(rng)["random"]
    expected = pairs(alpha, beta, np.float64)
    theta, Y = largest_eigenpairs(alpha, np.r_[beta, 0], 60, WANTED)
    np.testing.assert_allclose(theta, expected[0], rtol=1e-14)
    np.testing.assert_allclose(abs(Y), abs(expected[1]), atol=1e-13)
