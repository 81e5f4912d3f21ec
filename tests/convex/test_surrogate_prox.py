"""Proximal maps of functions of singular values that are no norms, or not convex."""

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch

import normgrad
from tests.differentiators import DIFFERENTIATORS

SURROGATES = [
    normgrad.HuberNuclear(0.7),
    normgrad.WeightedNuclear([3, 2, 2, 0.5]),
    normgrad.WeightedNuclear([0.1, 0.5, 1, 2]),
    normgrad.WeightedNuclear([1, 3, 0.5, 2]),
    normgrad.WeightedNuclear([1, 0, 0.5]),
    *map(normgrad.Squared, ("fro", "nuc", 2, 1, np.inf)),
    *map(normgrad.Squared, (normgrad.Schatten(3), normgrad.Schatten(1.3), normgrad.KyFan(2))),
]


def matrix(rng: Any, is_complex: bool, s: Any = None) -> Any:
    A = rng.standard_normal((4, 5)) + (1j * rng.standard_normal((4, 5)) if is_complex else 0)
    if s is None:
        return A
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    return (U * s) @ Vh


@pytest.mark.parametrize("ord", SURROGATES, ids=str)
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("step", [0.0, 1e-9, 0.4, 1.5, 50.0])
def test_no_point_is_better(ord: Any, is_complex: bool, step: float, rng: Any) -> None:
    """On the whole space: nearby, and along the singular values by a solver."""
    A = matrix(rng, is_complex)

    def objective(Z: Any) -> float:
        return step * float(normgrad.matrix_norm(Z, ord)) + np.linalg.norm(Z - A) ** 2 / 2

    P = normgrad.prox(A, step, ord)
    best = objective(P)
    for size in (1e-4, 1e-2, 1.0):
        for _ in range(20):
            assert objective(P + size * matrix(rng, is_complex)) >= best - 1e-12
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    for start in (s, 0 * s + 0.1, s[::-1]):
        found = scipy.optimize.minimize(
            lambda x: objective((U * x) @ Vh), start, method="Nelder-Mead", tol=1e-9
        )
        assert found.fun >= best - 1e-9


@pytest.mark.parametrize("ord", SURROGATES, ids=str)
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(
    "s", [None, [3, 2, 2, 1], [3, 2, 2 - 1e-9, 1], [2, 2, 0, 0], [3, 2.5, 1e-3, 0]], ids=str
)
def test_derivatives(ord: Any, is_complex: bool, s: Any, rng: Any) -> None:
    """In the matrix and the step, against differences, ties included where the map is smooth."""
    weights = np.array([*getattr(ord, "weights", (1,)), 0.0, 0.0])
    if s is not None and np.any(np.diff(weights) > 0):
        s = [3.5, 2.3, 1.2, 0.4]  # (the map has jumps at ties)
    A = torch.from_numpy(matrix(rng, is_complex, s)).requires_grad_()
    t = torch.tensor(0.43, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, t: normgrad.prox(x, t, ord), (A, t), atol=1e-6, check_forward_ad=True
    )


@pytest.mark.parametrize("ord", SURROGATES, ids=str)
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
def test_engines_agree(engine: str, ord: Any, rng: Any) -> None:
    A, E = rng.standard_normal((2, 3, 4, 5))
    library, reference = DIFFERENTIATORS[engine], DIFFERENTIATORS["torch"]
    np.testing.assert_allclose(library.prox(A, 0.4, ord), normgrad.prox(A, 0.4, ord), atol=1e-14)
    dP = library.prox_jvp(A[0], 0.4, E[0], 0.3, ord)
    if dP is not None:
        expected = reference.prox_jvp(A[0], 0.4, E[0], 0.3, ord)
        np.testing.assert_allclose(dP, expected, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("ord", SURROGATES, ids=str)
def test_scale(scale: float, ord: Any, rng: Any) -> None:
    A = rng.standard_normal((4, 5))
    if isinstance(ord, normgrad.HuberNuclear):
        ord, step = normgrad.HuberNuclear(0.7 * scale), 0.4 * scale
    elif isinstance(ord, normgrad.Squared):
        step = 0.4
    else:
        step = 0.4 * scale
    expected = normgrad.prox(A, 0.4, SURROGATES[0] if type(ord) is type(SURROGATES[0]) else ord)
    received = normgrad.prox(scale * A, step, ord) / scale
    np.testing.assert_allclose(received, expected, atol=1e-14)


@pytest.mark.parametrize("ord", SURROGATES, ids=str)
def test_types(ord: Any, rng: Any) -> None:
    if ord in (normgrad.Squared(1), normgrad.Squared(np.inf)):
        pytest.skip("norms of columns or rows are not for these types")
    d, B = np.array([3.0, -1.0, 2.0, 0.1]), matrix(rng, True)[:, :4]
    for A in (
        normgrad.Diagonal(d),
        normgrad.LowRank(rng.standard_normal((5, 4)), rng.standard_normal((4, 6))),
        normgrad.Hermitian(B + B.conj().T),
    ):
        P = normgrad.prox(A, 0.4, ord)
        assert type(P) is type(A)
        np.testing.assert_allclose(P.dense(), normgrad.prox(A.dense(), 0.4, ord), atol=1e-13)


def test_other_norms_by_weights(rng: Any) -> None:
    A, D = rng.standard_normal((4, 5)), np.diag([3.0, 3.0, 1.0, 0.0])
    for weights, same in (([1], 2), ([1] * 4, "nuc"), ([1, 1], normgrad.KyFan(2))):
        ord = normgrad.WeightedNuclear(weights)
        for X in (A, D, np.stack([D, D[::-1]])):
            for step in (0.0, 0.4, 3.0):
                received, expected = (normgrad.prox(X, step, o) for o in (ord, same))
                np.testing.assert_allclose(received, expected, atol=1e-14)


def _derivatives(ord: Any, A: Any, step: float, E: Any) -> Any:
    """Of the proximal map in direction E, and in the step."""
    x, e = torch.from_numpy(A.copy()), torch.from_numpy(E).to(torch.from_numpy(A).dtype)
    t = torch.tensor(step, dtype=x.real.dtype)
    in_A = torch.func.jvp(lambda x: normgrad.prox(x, t, ord), (x,), (e,))[1]
    in_t = torch.func.jvp(lambda t: normgrad.prox(x, t, ord), (t,), (torch.ones_like(t),))[1]
    return torch.stack([in_A, in_t])


@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-13, 1e-12, 1e-10, 1e-8, 1e-5])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_derivatives_at_ties_by_other_norms(dtype: str, gap: float, rng: Any) -> None:
    """In a pool of all the map is that of the spectral norm, and so of Ky Fan and nuclear norm."""
    E, most = rng.standard_normal((4, 5)), 64 * float(np.finfo(dtype).eps)
    for _ in range(6):
        s = 1.4 * (1 + gap * np.array([rng.random(), 0, 0, 0]))
        weights = 1 - 0.2 * np.arange(4) + 0.1 * rng.random(4)
        total, step = float(np.sum(weights)), float(rng.uniform(0.1, 1.3))
        for A in (matrix(rng, dtype == "complex128", s), np.diag(s) @ np.eye(4, 5)):
            A = A.astype(dtype)
            received = _derivatives(normgrad.WeightedNuclear(weights), A, step * 4 / total, E)
            expected = _derivatives(2, A, step * 4, E)
            expected[1] *= total
            torch.testing.assert_close(received, expected, atol=most, rtol=0)
            for k in range(1, 5):
                received = _derivatives(normgrad.WeightedNuclear([1.0] * k), A, step, E)
                expected = _derivatives(normgrad.KyFan(k) if k < 4 else "nuc", A, step, E)
                torch.testing.assert_close(received, expected, atol=most, rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [3, 30, 100])
def test_pools_of_small_steps(n: int, dtype: str, rng: Any) -> None:
    """What changes ties is seen down to the rounding of one number, and below, however many."""
    E, eps = rng.standard_normal((n, n)), float(np.finfo(dtype).eps)
    A = np.diag(np.where(np.arange(n) < n - 1, 2.0, 1.0)).astype(dtype)
    for step in (1e-30, 1e-3 * eps, 10 * eps, 100 * eps, 1e4 * eps):
        ord, same = normgrad.WeightedNuclear([1.0]), 2
        received, expected = (normgrad.prox(A, step, o) for o in (ord, same))
        np.testing.assert_allclose(received, expected, atol=4 * eps)
        received, expected = (_derivatives(o, A, step, E) for o in (ord, same))
        torch.testing.assert_close(received, expected, atol=64 * eps, rtol=0)


def test_the_smoothed_norm_is_an_envelope(rng: Any) -> None:
    """Of the nuclear norm: its gradient is (x - prox)/mu, its prox a prox of the sum of steps."""
    A, mu = rng.standard_normal((4, 5)), 0.7
    huber = normgrad.HuberNuclear(mu)
    inner = normgrad.prox(A, mu, "nuc")
    np.testing.assert_allclose(normgrad.grad(A, huber), (A - inner) / mu, atol=1e-14)
    t = 0.4
    expected = A + t / (t + mu) * (normgrad.prox(A, t + mu, "nuc") - A)
    np.testing.assert_allclose(normgrad.prox(A, t, huber), expected, atol=1e-14)


def test_zeros(rng: Any) -> None:
    """Singular values that are 0, with weights of 0 beside others."""
    for A in (np.zeros((3, 3)), np.diag([0.5, 0, 0]), np.diag([2.0, 1, 0]), np.ones((4, 5))):
        for weights in ([1], [0, 2], [2.0, 1.0], [1, 0, 3]):
            ord = normgrad.WeightedNuclear(weights)
            for step in (0.1, 0.4, 1.0, 3.0, 10.0):
                P = normgrad.prox(A, step, ord)
                s, x = (np.linalg.svd(Z, compute_uv=False) for Z in (A, P))
                w = step * np.array([*weights, *[0.0] * (len(s) - len(weights))])
                solver = scipy.optimize.isotonic_regression(s - w, increasing=False).x
                np.testing.assert_allclose(x, np.maximum(solver, 0), atol=1e-14)
    for huge in (1e305, 1.0, 1e-300):
        P = normgrad.prox(huge * rng.standard_normal((3, 4)), np.inf, SURROGATES[0])
        np.testing.assert_array_equal(P, 0)
        P = normgrad.prox(normgrad.Diagonal(huge * np.array([3.0, -1, 0])), np.inf, SURROGATES[0])
        np.testing.assert_array_equal(P.diagonal, 0)


@pytest.mark.parametrize("ord", [o for o in SURROGATES if isinstance(o, normgrad.Squared)], ids=str)
@pytest.mark.parametrize("step", [1e-9, 0.4, 30.0, 1e6, np.inf])
def test_a_square_by_its_norm(ord: Any, step: float, rng: Any) -> None:
    """The step of the norm is ``2 step |P|``, and what it took away is that of a subgradient."""
    for A in (rng.standard_normal((4, 5)), np.diag([2.0, 2, 1, 0]), np.zeros((3, 2))):
        P = normgrad.prox(A, step, ord)
        norm = float(normgrad.matrix_norm(P, ord.ord))
        if norm == 0:
            assert step == np.inf or not A.any()
            continue
        G = (A - P) / (2 * step * norm)
        rounding = 1e-15 / step + 1e-14
        assert normgrad.dual_norm(G, ord.ord) <= 1 + rounding
        np.testing.assert_allclose(np.vdot(G, P), norm, rtol=rounding + 1e-15 * step)


def test_a_square_has_no_ball() -> None:
    with pytest.raises(NotImplementedError, match="Squared of these"):
        normgrad.project(np.eye(2), 1.0, normgrad.Squared("nuc"))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, normgrad.Schatten(1.5)], ids=str)
def test_optimality_of_squares_of_many_matrices(ord: Any, rng: Any) -> None:
    _check_optimality(rng.standard_normal((300, 3, 4)), ord)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_optimality_of_squares_of_ky_fan_norms(n: int, rng: Any) -> None:
    A = rng.standard_normal((200, n, n))
    A[:100] *= np.eye(n)
    for k in range(1, n + 1):
        _check_optimality(A, normgrad.KyFan(k))


def _check_optimality(A: Any, ord: Any) -> None:
    """``G = (A - P) / (2 t ||P||)`` is a subgradient of the norm at P."""
    for step in (1e-2, 0.1, 1.0, 10.0, 100.0):
        P = normgrad.prox(A, step, normgrad.Squared(ord))
        size = normgrad.matrix_norm(P, ord)
        assert np.all(size > 0)
        G = (A - P) / (2 * step * size[:, None, None])
        np.testing.assert_allclose(np.sum(G * P, axis=(-2, -1)), size, rtol=1e-10)
        assert np.max(normgrad.dual_norm(G, ord)) <= 1 + 1e-10


@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("ord", ["fro", "nuc", normgrad.KyFan(2)], ids=str)
def test_squares_at_matrix_types_of_any_scale(scale: float, ord: Any) -> None:
    """The point and the gradient have degree 1, and so have the derivatives in step and x."""
    squared = normgrad.Squared(ord)
    for A in (
        normgrad.LowRank(np.array([[1.0], [2.0], [0.0]]), np.ones((1, 3))),
        normgrad.BlockDiagonal([np.array([[1.0, 2.0]]), np.array([[3.0], [1.0]])]),
        normgrad.Diagonal(np.array([3.0, 1.0, 2.0])),
    ):
        far = A.replace((scale * A.parameters[0], *A.parameters[1:]))
        if A.scaling == "together":
            far = scale * A
        for f in (
            lambda A: normgrad.prox(A, 0.2, squared).dense(),
            lambda A: normgrad.grad(A, squared).parameters[0],
            lambda A: normgrad.hvp(A, A, squared).parameters[0],
        ):
            np.testing.assert_allclose(f(far) / scale, f(A), atol=1e-12)
    t = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    d = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    rates = [
        torch.autograd.grad(normgrad.prox(normgrad.Diagonal(c * d), t, squared).diagonal[0] / c, t)
        for c in (1, scale)
    ]
    torch.testing.assert_close(*rates)


def test_squares_of_ky_fan_norms_where_zeros_are_not_stored() -> None:
    for A in (
        normgrad.LowRank(np.ones((5, 1)), np.ones((1, 5))),
        normgrad.BlockDiagonal([np.ones((1, 4)), np.ones((4, 1))]),
    ):
        for k in (1, 2, 3, 5):
            ord = normgrad.Squared(normgrad.KyFan(k))
            expected = normgrad.prox(A.dense(), 0.1, ord)
            np.testing.assert_allclose(normgrad.prox(A, 0.1, ord).dense(), expected, atol=1e-14)


@pytest.mark.parametrize("ord", [1, np.inf, "nuc", 2, normgrad.KyFan(2)], ids=str)
@pytest.mark.parametrize("dtype", ["complex128", "complex64", "float64"])
def test_squares_for_subnormal_steps(dtype: str, ord: Any, rng: Any) -> None:
    A, E = np.array([[1, 2], [3, 4j if dtype.startswith("c") else -4]]).astype(dtype), np.eye(2)
    squared = normgrad.Squared(ord)
    tiny, eps = (float(getattr(np.finfo(dtype), x)) for x in ("tiny", "eps"))
    for step in (tiny, tiny / 2, tiny / 100, float(np.finfo(dtype).smallest_subnormal)):
        in_A, in_t = _derivatives(squared, A, step, E)
        np.testing.assert_allclose(in_A, E, atol=eps)
        np.testing.assert_allclose(in_t, -normgrad.grad(A, squared), atol=100 * eps)
