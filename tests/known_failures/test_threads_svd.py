"""What users of other libraries report in public, one test for each thread: SVDs that fail."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import (
    BY,
    GRADIENT_TOLERANCE,
    ISSUE_MATRIX,
    PRODUCT_TOLERANCE,
    VALUE_TOLERANCE,
    Case,
    check,
    close,
    direction,
    every_engine,
    known,
    nuclear,
    nuclear_low_rank,
    spectral,
)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("norm", ["nuc", 2, "fro", 1])
@every_engine
def test_pytorch_187759_nan_stays_and_stays_alone(engine, norm, bad):
    """pytorch#187759: the singular values of a matrix with NaN are finite."""
    A = np.stack([spectral().A, ISSUE_MATRIX, -ISSUE_MATRIX])
    A[1, 2, 0] = bad
    E = direction(A.shape)
    found = BY[engine](norm, A, E)
    np.testing.assert_equal(found.value[1], abs(bad))
    assert np.all(np.isnan(found.gradient[1]))
    assert np.all(np.isnan(found.product[1]))
    for i in (0, 2):
        alone = normgrad.value_and_grad(A[i], norm)
        assert close(found.value[i], alone[0], VALUE_TOLERANCE)
        assert close(found.gradient[i], alone[1], GRADIENT_TOLERANCE)
        assert close(found.product[i], normgrad.hvp(A[i], E[i], norm), PRODUCT_TOLERANCE)


@pytest.mark.parametrize("norm", ["nuc", 2])
@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("is_wide", [False, True])
def test_pytorch_181641_svd_that_does_not_converge(engine, norm, is_wide, monkeypatch):
    """pytorch#181641: LAPACK's divide and conquer may fail on a finite matrix."""
    slope, cluster = ((1, 1), (0, 0)) if norm == "nuc" else ((1, 0), (0, 1))
    V = np.eye(5)[:, :2]
    U = np.array([[1, 1, 1, 1, 0, 0], [1, -1, 0, 0, 1, 1]]).T / 2
    if is_wide:
        U, V = V, U
    case = known(norm, U, (3, 1), V, slope, cluster)
    failures = []

    def failing_once(svd: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def fails(*args: Any, **keywords: Any) -> Any:
            if not failures:
                failures.append(svd)
                raise error
            return svd(*args, **keywords)

        return fails

    if engine == "numpy":
        error: Exception = np.linalg.LinAlgError("SVD did not converge")
        monkeypatch.setattr(np.linalg, "svd", failing_once(np.linalg.svd, error))
        x, e = case.A, case.E
    else:
        import array_api_compat.torch.linalg as namespace

        error = torch.linalg.LinAlgError("linalg.svd: The algorithm failed to converge because ...")
        for name in ("svd", "svdvals"):
            monkeypatch.setattr(namespace, name, failing_once(getattr(namespace, name), error))
        # (a small tensor is left to NumPy)
        error = np.linalg.LinAlgError("SVD did not converge")
        monkeypatch.setattr(np.linalg, "svd", failing_once(np.linalg.svd, error))
        x, e = torch.tensor(case.A), torch.tensor(case.E)
    for answer, expected, tolerance in (
        (lambda: normgrad.matrix_norm(x, norm), case.value, VALUE_TOLERANCE),
        (lambda: normgrad.value_and_grad(x, norm)[0], case.value, VALUE_TOLERANCE),
        (lambda: normgrad.grad(x, norm), case.gradient, GRADIENT_TOLERANCE),
        (lambda: normgrad.hvp(x, e, norm), case.product, PRODUCT_TOLERANCE),
    ):
        failures.clear()
        assert close(answer(), expected, tolerance)
        assert len(failures) == 1


@every_engine
@pytest.mark.parametrize("shape", [(10, 20), (20, 10)])
def test_cvxpy_2364_nuclear_subgradient_of_matrices_that_are_not_square(engine, shape, rng):
    """cvxpy#2364: the subgradient of the nuclear norm of a 10 x 20 matrix raises."""
    A, B = rng.standard_normal((2, *shape))
    value, G, _ = BY[engine]("nuc", A, B)
    s = np.linalg.svd(G, compute_uv=False)
    assert close(s, np.ones(10), GRADIENT_TOLERANCE)
    assert close(np.sum(G * A), value, VALUE_TOLERANCE)
    values = np.linalg.svd(A, compute_uv=False), np.linalg.svd(B, compute_uv=False)
    assert close(value, values[0].sum(), VALUE_TOLERANCE)
    assert values[1].sum() >= value + np.sum(G * (B - A))


@pytest.mark.parametrize("make", [spectral, lambda: nuclear((3, 3, 1)), nuclear_low_rank])
def test_pytorch_195731_svd_under_compile(make):
    """pytorch#195731: the SVD fails under torch.compile."""
    case = make()
    torch._dynamo.reset()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def value(x: Any) -> Any:
        return normgrad.matrix_norm(x, case.norm)

    x = torch.tensor(case.A, requires_grad=True)
    found = value(x)
    found.backward()
    assert close(found.detach(), case.value, VALUE_TOLERANCE)
    assert close(x.grad, case.gradient, GRADIENT_TOLERANCE)


def nuclear_of_two_columns(A: Any, E: Any) -> Case:
    """Return the case of an m x 2 matrix by its polar decomposition A = Q S, in long double.

    A 2 x 2 positive definite M has the root ``(M + d I) / (tr M + 2 d)^(1/2)``, d^2 = det M.
    A step E turns Q by ``Q W``, W skew with ``S W + W S = Q^T E - E^T Q``, so W is that over
    tr S; and out of its range by ``(E - Q Q^T E) S^-1``.
    """
    a, e = A.astype(np.longdouble), E.astype(np.longdouble)
    M = a.T @ a
    d = np.sqrt(M[0, 0] * M[1, 1] - M[0, 1] ** 2)
    value = np.sqrt(M[0, 0] + M[1, 1] + 2 * d)
    S = (M + d * np.eye(2)) / value
    inverse = np.array([[S[1, 1], -S[0, 1]], [-S[1, 0], S[0, 0]]]) / d
    Q = a @ inverse
    product = Q @ (Q.T @ e - e.T @ Q) / value + (e - Q @ (Q.T @ e)) @ inverse
    return Case("nuc", A, float(value), Q.astype(float), E, product.astype(float))


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
def test_pytorch_61949_and_jax_9755_tall_and_skinny(engine, is_wide, rng):
    """pytorch#61949, jax#9755: an m x m matrix is formed for an m x n one, m much greater than n.

    It would have 80 GB here.
    """
    case = nuclear_of_two_columns(*rng.standard_normal((2, 100_000, 2)))
    if is_wide:
        turned = {name: getattr(case, name).T for name in ("A", "gradient", "E", "product")}
        case = dataclasses.replace(case, **turned)
    check(engine, case)
