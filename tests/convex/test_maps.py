"""Dual norm, proximal map, projection and linear minimiser against what defines them."""

import math
from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import normgrad
from normgrad.engines import TABLE as ENGINES
from normgrad.norms import resolve
from tests import oracle
from tests.conftest import orthonormal

INVARIANT = [
    "fro",
    "nuc",
    2,
    normgrad.Schatten(1.3),
    normgrad.Schatten(2.5),
    normgrad.Schatten(50),
    normgrad.KyFan(2),
]
ORDS = [*INVARIANT, 1, math.inf]
COMPILED = ["nuc", normgrad.Schatten(1.3), normgrad.KyFan(2), 1]
"""For JAX, whose compiler takes seconds for each: one of each kind of arithmetic."""
SPECTRA = {
    "distinct": (3.0, 1.7, 0.6),
    "tied top": (2.0, 2.0, 0.5),
    "tied low": (3.0, 1.0, 1.0),
    "orthogonal": (1.0, 1.0, 1.0),
    "rank 2": (2.0, 1.0, 0.0),
    "rank 1": (2.0, 0.0, 0.0),
    "zero": (0.0, 0.0, 0.0),
}
matrices = pytest.mark.parametrize(
    "A",
    [
        pytest.param(_A, id=f"{name}-{m}x{n}{'-complex' * c}")
        for rng in [np.random.default_rng(5)]
        for name, s in SPECTRA.items()
        for m, n, c in [(4, 3, False), (3, 5, True)]
        for _A in [
            (orthonormal(rng, m, 3, c) * np.array(s)) @ orthonormal(rng, n, 3, c).conj().T,
        ]
    ],
)
norms = pytest.mark.parametrize("ord", ORDS, ids=str)


def value(A: Any, ord: Any) -> float:
    return oracle.value(A, np.linalg.svd(A, compute_uv=False), ord)


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


@norms
@matrices
def test_dual_norm(A: Any, ord: Any) -> None:
    dual = normgrad.dual_norm(A, ord)
    assert dual == pytest.approx(oracle.dual_norm(A, ord), rel=1e-13, abs=1e-14)
    # and the dual of the dual is the norm
    assert normgrad.matrix_norm(A, resolve(ord).dual().dual()) == pytest.approx(
        value(A, ord), rel=1e-13, abs=1e-14
    )


@norms
@matrices
def test_linear_minimiser(A: Any, ord: Any) -> None:
    """In the ball, and Hoelder's inequality is tight; of all such it is the shortest."""
    Z = normgrad.lmo(A, 1.5, ord)
    assert value(Z, ord) <= 1.5 * (1 + 1e-13)
    assert inner(Z, A) == pytest.approx(-1.5 * oracle.dual_norm(A, ord), rel=1e-13, abs=1e-13)
    rng = np.random.default_rng(3)
    near = A + 1e-7 * rng.standard_normal(A.shape)  # a minimiser of a nearby function
    assert np.linalg.norm(Z) <= np.linalg.norm(normgrad.lmo(near, 1.5, ord)) + 1e-6


@norms
@matrices
@pytest.mark.parametrize("fraction", [1e-9, 0.3, 0.8, 0.999])
def test_projection(A: Any, ord: Any, fraction: float) -> None:
    """On the sphere, and ``<A - P, Z - P> <= 0`` for every Z of the ball, at the worst one."""
    r = fraction * value(A, ord)
    P = normgrad.project(A, r, ord)
    if r > 0:
        assert value(P / r, ord) <= 1 + 1e-14
        assert value(P / r, ord) == pytest.approx(1, rel=1e-7)
    # max <A - P, Z> over the ball is r times the dual norm
    scale = 1 + np.linalg.norm(A)
    assert r * oracle.dual_norm(A - P, ord) - inner(A - P, P) <= 1e-13 * scale * max(r, 1e-2)
    rng = np.random.default_rng(1)
    for _ in range(5):
        Z = rng.standard_normal(A.shape)
        Z *= r / max(value(Z, ord), 1e-300)
        assert inner(A - P, Z - P) <= 1e-12 * scale**2


@norms
@matrices
@pytest.mark.parametrize("step", [1e-9, 0.4, 1.2, 10.0])
def test_proximal_map(A: Any, ord: Any, step: float) -> None:
    """``(A - P)/step`` is a subgradient at P: of dual norm at most 1, and tight."""
    P = normgrad.prox(A, step, ord)
    R = A - P
    tol = 1e-13 * (1 + np.linalg.norm(A))
    assert oracle.dual_norm(R, ord) <= step + tol
    assert step * value(P, ord) - inner(R, P) <= tol * 10
    # Moreau: the other part is the projection on the dual ball
    dual = resolve(ord).dual()
    np.testing.assert_allclose(P + normgrad.project(A, step, dual), A, atol=2e-14)


@norms
def test_nonexpansive(ord: Any) -> None:
    rng = np.random.default_rng(2)
    A = rng.standard_normal((20, 4, 3)) + 1j * rng.standard_normal((20, 4, 3))
    B = A + rng.standard_normal((20, 1, 1)) * rng.standard_normal((20, 4, 3))
    for f in (normgrad.prox, normgrad.project):
        moved = np.linalg.norm(f(A, 0.7, ord) - f(B, 0.7, ord), axis=(1, 2))
        assert np.all(moved <= np.linalg.norm(A - B, axis=(1, 2)) * (1 + 1e-13))


@norms
def test_inside_of_the_ball_nothing_moves(ord: Any) -> None:
    A = np.random.default_rng(2).standard_normal((2, 3, 4))
    A[1] *= 100
    P = normgrad.project(A, 20.0, ord)
    np.testing.assert_array_equal(P[0], A[0])
    assert value(P[1], ord) == pytest.approx(20)
    np.testing.assert_array_equal(normgrad.project(A, 0.0, ord), 0)
    np.testing.assert_array_equal(normgrad.project(A, math.inf, ord), A)
    np.testing.assert_array_equal(normgrad.prox(A, 0.0, ord), A)


@pytest.mark.parametrize("ord", INVARIANT, ids=str)
def test_an_optimiser_finds_the_same(ord: Any) -> None:
    """SLSQP on the singular values, for projections: ``min |x - s|^2`` over ``phi(x) <= r``."""
    s = np.array([2.0, 1.4, 0.5, 0.1])
    phi = lambda x: value(np.diag(np.sort(np.abs(x))[::-1]), ord)  # noqa: E731
    ordered = [
        {"type": "ineq", "fun": lambda x, i=i: x[i] - x[i + 1]} for i in range(3)
    ]  # a symmetric gauge is smooth, or linear, on each ordering
    r = 0.6 * phi(s)
    best = minimize(
        lambda x: np.sum((x - s) ** 2),
        s * 0.5,
        method="SLSQP",
        bounds=[(0, None)] * 4,
        constraints=[{"type": "ineq", "fun": lambda x: r - phi(x)}, *ordered],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    P = normgrad.project(np.diag(s), r, ord, method="svd")
    np.testing.assert_allclose(np.diag(P), best.x, atol=1e-5)
    assert np.linalg.norm(P - np.diag(s)) <= np.sqrt(best.fun) + 1e-8


@pytest.mark.parametrize("p", [1.001, 1.5, 2.001, 3, 20, 100])
def test_schatten_to_full_precision(p: float) -> None:
    """One pair of singular values, in 150 digits, at radii from 1e-12 to nearly the norm."""
    import mpmath

    s = [mpmath.mpf(3), mpmath.mpf(1)]
    with mpmath.workdps(150):
        norm = sum(x**p for x in s) ** (1 / mpmath.mpf(p))
        for fraction in (mpmath.mpf(10) ** -12, 0.5, 0.99):
            r = mpmath.mpf(float(fraction * norm))

            # x_i + c x_i^(p-1) = s_i: x_2 by bisection for given x_1, and x_1 for the norm
            def second(x1: Any, r: Any = r) -> Any:
                return (r**p - x1**p) ** (1 / mpmath.mpf(p))

            def excess(x1: Any) -> Any:
                c = (s[0] - x1) / x1 ** (p - 1)
                x2 = second(x1)
                return x2 + c * x2 ** (p - 1) - s[1]

            low, high = r * mpmath.mpf(2) ** (-1 / mpmath.mpf(p)), r
            for _ in range(450):
                middle = (low + high) / 2
                low, high = (middle, high) if excess(middle) > 0 else (low, middle)
            P = normgrad.project(np.diag([3.0, 1.0]), float(r), normgrad.Schatten(p))
            expected = [float(low), float(second(low))]
            # (near the sphere p amplifies rounding, and so it does for n = x^(p-1))
            np.testing.assert_allclose(np.diag(P), expected, atol=3e-16 * (3 + 10 * p * float(r)))


def _complex_pair(engine: str, f: Any, A: Any, t: float, E: Any, dt: float, W: Any) -> tuple:
    """Return the forward derivative, and <reverse derivative, direction>, of ``f(A, t)``."""
    if engine == "torch":
        x, u = torch.from_numpy(A), torch.tensor(t, dtype=torch.float64)
        dx, du = torch.from_numpy(E), torch.tensor(dt, dtype=torch.float64)
        forward = torch.func.jvp(f, (x, u), (dx, du))[1].numpy()
        x, u = x.clone().requires_grad_(), u.clone().requires_grad_()
        gx, gu = torch.autograd.grad(f(x, u), (x, u), torch.from_numpy(W))
        return forward, inner(gx.numpy(), E) + float(gu) * dt
    if engine == "jax":
        point = jnp.asarray(A), jnp.asarray(t)
        forward = np.asarray(jax.jit(lambda *v: jax.jvp(f, point, v)[1])(E, dt))
        gx, gu = jax.jit(lambda w: jax.vjp(f, *point)[1](w))(jnp.asarray(W).conj())
        return forward, inner(np.asarray(gx).conj(), E) + float(gu) * dt
    forward = autograd.make_jvp(lambda x: f(x, t))(A)(E)[1]
    forward = forward + autograd.make_jvp(lambda t: f(A, t))(t)(dt)[1]
    gx = autograd.make_vjp(lambda x: f(x, t))(A)[0](W.conj()).conj()
    gu = autograd.make_vjp(lambda t: f(A, t))(t)[0](W.conj())
    return forward, inner(gx, E) + float(gu) * dt


@pytest.mark.parametrize(
    ("engine", "ord"),
    [(engine, ord) for engine in ENGINES if engine not in ("numpy", "jax") for ord in ORDS]
    + [("jax", ord) for ord in COMPILED],
    ids=str,
)
@pytest.mark.parametrize("kind", ["prox", "project", "lmo"])
def test_derivatives(engine: str, ord: Any, kind: str) -> None:
    rng = np.random.default_rng(8)
    A, E, W = rng.standard_normal((3, 4, 3)) + 1j * rng.standard_normal((3, 4, 3))
    dt, h = 0.3, 1e-6
    t = 0.45 * value(A, ord) if kind == "project" else 0.8
    f = lambda x, t: getattr(normgrad, kind)(x, t, ord)  # noqa: E731
    expected = (f(A + h * E, t + h * dt) - f(A - h * E, t - h * dt)) / (2 * h)
    assert np.linalg.norm(expected) > 0.1
    forward, reverse = _complex_pair(engine, f, A, t, E, dt, W)
    np.testing.assert_allclose(forward, expected, atol=3e-8)
    assert reverse == pytest.approx(inner(W, forward), rel=1e-11)


@norms
@pytest.mark.parametrize("kind", ["prox", "project", "lmo"])
@matrices
def test_derivatives_at_kinks_are_finite(A: Any, ord: Any, kind: str) -> None:
    x = torch.from_numpy(A).requires_grad_()
    t = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    W = torch.from_numpy(np.random.default_rng(4).standard_normal(A.shape) + 0 * A)
    gx, gt = torch.autograd.grad(getattr(normgrad, kind)(x, t, ord), (x, t), W)
    assert torch.isfinite(gx).all()
    assert torch.isfinite(gt)
    if kind != "lmo":  # a nonexpansive map has a derivative of norm at most 1
        assert torch.linalg.norm(gx) <= torch.linalg.norm(W) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("engine", "ord"),
    [(engine, ord) for engine in ("numpy", "torch") for ord in ORDS]
    + [("jax", "nuc"), ("jax", normgrad.KyFan(2)), ("jax", 1)],
    ids=str,
)
@pytest.mark.parametrize("scale", [1e-200, 1e200, 5e-310])
def test_any_magnitude(engine: str, ord: Any, scale: float) -> None:
    A = np.array([[3.0, 1.0, 0.5], [-1.0, 2.0, 0.0]])
    array = {"torch": torch.from_numpy, "jax": jnp.asarray}.get(engine, np.asarray)
    for kind in ("prox", "project"):
        f = getattr(normgrad, kind)
        P = np.asarray(f(array(A * scale), 0.8 * scale, ord))
        np.testing.assert_allclose(P / scale, f(A, 0.8, ord), atol=1e-12 + 5e-324 / scale * 4)
    np.testing.assert_allclose(
        np.asarray(normgrad.lmo(array(A * scale), 2.0, ord)), normgrad.lmo(A, 2.0, ord), atol=1e-12
    )


@norms
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_precision(ord: Any, dtype: str) -> None:
    A = np.random.default_rng(6).standard_normal((3, 4, 5))
    low = A.astype(dtype)
    for kind in ("prox", "project", "lmo"):
        f = getattr(normgrad, kind)
        received = f(low, 0.7, ord)
        assert received.dtype == low.dtype
        expected = f(low.astype(float), 0.7, ord)
        np.testing.assert_allclose(received, expected, atol=40 * float(np.finfo(dtype).eps))


@norms
@pytest.mark.parametrize("kind", ["prox", "project", "lmo"])
def test_batches_axes_and_maps(ord: Any, kind: str) -> None:
    rng = np.random.default_rng(9)
    A, t = rng.standard_normal((2, 3, 4, 3)), rng.random((2, 3)) + 0.2
    f = getattr(normgrad, kind)
    each = np.array([[f(A[i, j], t[i, j], ord) for j in range(3)] for i in range(2)])
    np.testing.assert_allclose(f(A, t, ord), each, atol=1e-13)
    moved = f(np.moveaxis(A, (-2, -1), (0, 2)), t, ord, axis=(0, 2))
    np.testing.assert_allclose(np.moveaxis(moved, (0, 2), (-2, -1)), each, atol=1e-13)
    g = lambda x, t: f(x, t, ord)  # noqa: E731
    if ord in COMPILED:
        mapped = jax.jit(jax.vmap(jax.vmap(g)))(A, t)
        np.testing.assert_allclose(mapped, each, atol=1e-13)
    mapped = torch.func.vmap(torch.func.vmap(g))(torch.from_numpy(A), torch.from_numpy(t))
    np.testing.assert_allclose(mapped, each, atol=1e-13)


def test_a_matrix_that_is_not_finite_stays_alone() -> None:
    A = np.ones((3, 2, 2))
    A[0, 0, 0], A[1, 0, 0] = np.nan, np.inf
    for kind in ("prox", "project", "lmo"):
        P = getattr(normgrad, kind)(A, np.array([1.0, 1.0, 0.5]), normgrad.KyFan(2))
        assert np.isnan(P[:2]).all()
        assert np.isfinite(P[2]).all()
        assert np.isnan(getattr(normgrad, kind)(A, np.array([1.0, 1.0, -0.5]), "nuc")[2]).all()
        assert getattr(normgrad, kind)(np.zeros((2, 0)), 1.0, 2).shape == (2, 0)


@pytest.mark.parametrize("kind", ["prox", "project", "lmo"])
def test_what_is_refused(kind: str) -> None:
    f = getattr(normgrad, kind)
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="nonnegative"):
            f(np.eye(2), bad, "nuc")
    with pytest.raises(TypeError, match="nonnegative number"):
        f(np.eye(2), "1", "nuc")
    with pytest.raises(ValueError, match="broadcasts to the batch"):
        f(np.eye(2), np.ones(3), "nuc")
    for ord in (-1, -2, -math.inf):
        with pytest.raises(NotImplementedError, match="Schatten"):
            f(np.eye(2), 1.0, ord)
    with pytest.raises(ValueError, match="Ky Fan k = 3"):
        f(np.eye(2), 1.0, normgrad.KyFan(3))


def test_compiled_by_torch() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    for kind in ("project", "lmo"):
        f = lambda x, kind=kind: getattr(normgrad, kind)(x, 0.5, normgrad.KyFan(2)).sum()  # noqa: E731
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
        (expected,), (received,) = (torch.autograd.grad(g(x), x) for g in (f, compiled))
        torch.testing.assert_close(received, expected)
