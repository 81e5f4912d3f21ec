"""Proximal maps, projections and minimisers at matrix types: as at the array of all entries."""

import math
from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

import normgrad

INVARIANT = [
    "fro",
    "nuc",
    2,
    normgrad.Schatten(1.5),
    normgrad.Schatten(3),
    normgrad.KyFan(2),
    normgrad.KyFan(4),
]
LINES = [1, math.inf]
MAPS = [
    (f, t)
    for f, ts in [
        (normgrad.prox, (0.0, 0.7, 30.0)),
        (normgrad.project, (0.0, 0.7, 100.0)),
        (normgrad.lmo, (0.7,)),
    ]
    for t in ts
]
rng = np.random.default_rng(11)


def normal(*shape: int, is_complex: bool = False) -> Any:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def hermitian(x: Any) -> Any:
    return (x + np.swapaxes(x.conj(), -1, -2)) / 2


_H, _G = normal(5, 5, is_complex=True), normal(5, 4)
TYPES = {
    "diagonal": normgrad.Diagonal(normal(5), (5, 7)),
    "diagonal, tied": normgrad.Diagonal(np.array([2.0, -2, 0, 1])),
    "diagonal, batch": normgrad.Diagonal(normal(2, 4, is_complex=True)),
    "blocks": normgrad.BlockDiagonal([normal(2, 3), normal(3, 1), normal(1, 4)]),
    "blocks of few values": normgrad.BlockDiagonal([normal(1, 3), normal(3, 1)]),
    "stack": normgrad.BlockDiagonal(normal(3, 2, 4, is_complex=True)),
    "stack, batch": normgrad.BlockDiagonal(normal(2, 3, 2, 2)),
    "hermitian": normgrad.Hermitian(hermitian(_H)),
    "hermitian, batch": normgrad.Hermitian(hermitian(normal(2, 4, 4))),
    "semidefinite": normgrad.PSD(_G @ _G.T),
    "low rank": normgrad.LowRank(normal(6, 3), normal(3, 5)),
    "low rank, wide factors": normgrad.LowRank(normal(4, 6, is_complex=True), normal(6, 5)),
    "low rank, batch": normgrad.LowRank(normal(2, 4, 2), normal(2, 2, 5)),
    "sparse": normgrad.Sparse(normal(6), ([0, 0, 1, 2, 3, 3], [0, 2, 1, 4, 3, 0]), (4, 5)),
    "kronecker": normgrad.Kronecker(normal(2, 2), normal(2, 3)),
}
SMOOTH = ["diagonal", "diagonal, batch", "blocks", "stack", "stack, batch", "hermitian"]
types = pytest.mark.parametrize("name", list(TYPES))


def keeps(A: Any, f: Any, ord: Any) -> bool:
    """Whether the result is a matrix of the type, by the documentation."""
    if isinstance(A, (normgrad.Diagonal, normgrad.BlockDiagonal)):
        return True
    if isinstance(A, normgrad.Sparse):
        return ord == "fro" or ord in LINES
    return not isinstance(A, normgrad.Kronecker) and ord not in LINES


def fits(A: Any, ord: Any) -> bool:
    return not isinstance(ord, normgrad.KyFan) or ord.k <= min(A.shape[-2:])


@types
@pytest.mark.parametrize("ord", INVARIANT + LINES, ids=str)
def test_as_at_the_array(name: str, ord: Any) -> None:
    A = TYPES[name]
    if not fits(A, ord):
        pytest.skip("k is too large")
    X = A.dense()
    np.testing.assert_allclose(normgrad.dual_norm(A, ord), normgrad.dual_norm(X, ord), rtol=1e-13)
    for f, t in MAPS:
        factored = f is normgrad.lmo and ord == "nuc" and not keeps(A, f, ord)
        if not keeps(A, f, ord) and not factored:
            with pytest.raises(TypeError, match=r"Diagonal and BlockDiagonal.*x\.dense\(\)"):
                f(A, t, ord)
            continue
        result = f(A, t, ord)
        signed = isinstance(A, normgrad.PSD) and f is normgrad.lmo
        kind = normgrad.LowRank if factored else normgrad.Hermitian if signed else type(A)
        assert type(result) is kind
        if not (factored or (f is normgrad.lmo and kind is normgrad.LowRank)):
            assert [p.shape for p in result.parameters] == [p.shape for p in A.parameters]
            common = np.result_type(*A.parameters)
            mixed = kind is normgrad.LowRank
            assert [p.dtype for p in result.parameters] == [
                common if mixed else p.dtype for p in A.parameters
            ]
        np.testing.assert_allclose(result.dense(), f(X, t, ord), atol=3e-14)
        if issubclass(kind, (normgrad.Hermitian, normgrad.PSD)):
            np.testing.assert_array_equal(result.matrix, np.swapaxes(result.matrix.conj(), -1, -2))
        if kind is normgrad.PSD:
            assert np.linalg.eigvalsh(result.matrix).min() >= -1e-14


@types
def test_polar(name: str) -> None:
    A = TYPES[name]
    if isinstance(A, (normgrad.Sparse, normgrad.Kronecker)):
        with pytest.raises(TypeError, match=r"x\.dense\(\)"):
            normgrad.polar(A)
        return
    P = normgrad.polar(A)
    assert type(P) is type(A)
    np.testing.assert_allclose(P.dense(), normgrad.polar(A.dense()), atol=3e-14)
    with pytest.raises(ValueError, match="method"):
        normgrad.polar(A, "iteration")


def moved(A: Any, E: Any, c: float) -> Any:
    return A.replace(tuple(p + c * e for p, e in zip(A.parameters, E, strict=True)))


def direction(A: Any) -> tuple[Any, ...]:
    E = [normal(*p.shape, is_complex="complex" in str(p.dtype)) for p in A.parameters]
    return tuple(map(hermitian, E)) if isinstance(A, normgrad.Hermitian) else tuple(E)


def inner(a: Any, b: Any) -> float:
    return sum(float(np.sum(np.real(np.conj(x) * y))) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("ord", INVARIANT + LINES, ids=str)
@pytest.mark.parametrize("f", [normgrad.prox, normgrad.project, normgrad.lmo])
def test_derivative(name: str, f: Any, ord: Any) -> None:
    """PyTorch, reverse and forward, against differences; and autograd."""
    A = TYPES[name]
    if not fits(A, ord) or not keeps(A, f, ord):
        pytest.skip("not of the type")
    E, W = direction(A), direction(A)
    t, h, dt = 0.6, 1e-6, 0.3
    ahead, behind = (f(moved(A, E, c), t + c * dt, ord).parameters for c in (h, -h))
    expected = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]

    def of(*x: Any) -> Any:
        return f(A.replace(x[:-1]), x[-1], ord).parameters

    x = [*map(torch.from_numpy, A.parameters), torch.tensor(t, dtype=torch.float64)]
    e = [*map(torch.from_numpy, E), torch.tensor(dt, dtype=torch.float64)]
    _, dP = torch.func.jvp(of, tuple(x), tuple(e))
    for a, b in zip(dP, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, atol=1e-7)
    for y in x:
        y.requires_grad_()
    total = sum(
        torch.sum(torch.real(torch.from_numpy(w).conj() * p))
        for w, p in zip(W, of(*x), strict=True)
    )
    back = torch.autograd.grad(total, x)
    slope = inner([b.numpy() for b in back], [b.numpy() for b in e])
    assert slope == pytest.approx(inner(W, expected), abs=1e-6)
    if len(A.parameters) == 1 and not np.iscomplexobj(A.parameters[0]):
        import autograd.numpy as anp

        (w,) = W
        g = autograd.grad(lambda x: anp.sum(w * of(x, t)[0]))(A.parameters[0])
        np.testing.assert_allclose(g, back[0].numpy(), atol=1e-12)


@pytest.mark.parametrize("name", ["diagonal, tied", "blocks", "hermitian"])
def test_jax(name: str) -> None:
    A = TYPES[name]
    E = direction(A)

    def of(x: Any, t: Any) -> Any:
        return normgrad.prox(A.replace(x), t, "nuc").parameters

    x, e = (tuple(map(jnp.asarray, y)) for y in (A.parameters, E))
    P, back = jax.vjp(of, x, 0.6)
    w = tuple(map(jnp.conj, e))  # (JAX pairs without a conjugate)
    x_bar, t_bar = back(w)
    xt, et = (tuple(map(torch.from_numpy, y)) for y in (A.parameters, E))
    t, one = torch.tensor([0.6, 1.0], dtype=torch.float64)
    none = [torch.zeros_like(y) for y in xt]
    # the adjoint of the derivative in x is this derivative itself
    expected, dP = torch.func.jvp(of, (xt, t), (et, 0 * one))
    _, in_t = torch.func.jvp(of, (xt, t), (tuple(none), one))
    for a, b in zip((*P, *map(jnp.conj, x_bar)), (*expected, *dP), strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-12)
    assert float(t_bar) == pytest.approx(inner(E, [y.numpy() for y in in_t]), abs=1e-12)


def test_jax_compiled_and_mapped() -> None:
    A = TYPES["diagonal, batch"]

    def total(d: Any, t: Any) -> Any:
        return jnp.sum(jnp.abs(normgrad.prox(normgrad.Diagonal(d), t, "nuc").diagonal) ** 2)

    d, t = jnp.asarray(A.diagonal), jnp.asarray([0.0, 0.6])
    g = jax.jit(jax.vmap(jax.grad(total, argnums=1)))(d, t)
    kept = np.maximum(np.abs(A.diagonal) - np.asarray(t)[:, None], 0)
    np.testing.assert_allclose(g, -2 * kept.sum(-1), rtol=1e-12)


def test_factors_are_not_differentiable() -> None:
    left, right = normal(5, 2), normal(2, 4)
    indices = ([0, 0, 1], [0, 2, 1])
    cases = [
        (lambda x: normgrad.prox(normgrad.LowRank(x, x.T[:, :4]), 0.3, "nuc").left.sum(), left),
        (lambda x: normgrad.project(normgrad.LowRank(x, x.T), 0.3, 2).left.sum(), left),
        (lambda x: normgrad.lmo(normgrad.LowRank(x, x.T), 0.3, 2).left.sum(), left),
        (
            lambda x: normgrad.lmo(normgrad.Sparse(x, indices, (2, 3)), 0.3, "nuc").left.sum(),
            normal(3),
        ),
        (lambda x: normgrad.polar(normgrad.LowRank(x, x.T)).left.sum(), right),
    ]
    for f, x in cases:
        for run in (
            lambda f=f, x=x: torch.autograd.grad(f(y := torch.from_numpy(x).requires_grad_()), y),
            lambda f=f, x=x: torch.func.jvp(f, (torch.from_numpy(x),), (torch.from_numpy(x),)),
            lambda f=f, x=x: jax.grad(f)(jnp.asarray(x)),
            lambda f=f, x=x: autograd.grad(f)(x),
        ):
            with pytest.raises(NotImplementedError, match=r"not unique.*x\.dense\(\)"):
                run()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scale(scale: float) -> None:
    for name in ("diagonal", "blocks", "hermitian", "low rank"):
        A = TYPES[name]
        P = normgrad.prox(A, 0.7, "nuc").dense()
        big = scale * A
        np.testing.assert_allclose(
            normgrad.prox(big, 0.7 * scale, "nuc").dense() / scale, P, atol=1e-13
        )
    L = TYPES["low rank"]
    uneven = L.replace((1e200 * L.left, 1e-200 * L.right))
    P = normgrad.prox(uneven, 0.7, "nuc")
    np.testing.assert_allclose(P.dense(), normgrad.prox(L, 0.7, "nuc").dense(), atol=1e-13)


def test_nan_and_empty() -> None:
    d = normal(2, 3)
    d[0, 1] = np.nan
    P = normgrad.prox(normgrad.Diagonal(d), 0.1, "nuc").diagonal
    assert np.isnan(P[0]).all()
    np.testing.assert_allclose(P[1], np.sign(d[1]) * np.maximum(abs(d[1]) - 0.1, 0))
    L = normgrad.LowRank(np.full((3, 1), np.nan), np.ones((1, 4)))
    assert np.isnan(normgrad.prox(L, 0.1, "nuc").left).all()
    assert np.isnan(normgrad.lmo(L, 0.1, "nuc").dense()).all()
    assert np.isnan(normgrad.prox(normgrad.Diagonal(d[1]), np.array(-1.0), "nuc").diagonal).all()
    for A in (normgrad.Diagonal(np.zeros(0)), normgrad.LowRank(np.ones((3, 0)), np.ones((0, 2)))):
        assert normgrad.prox(A, 0.1, "nuc").shape == A.shape
        assert normgrad.lmo(A, 0.1, "nuc").shape == A.shape
    zero = normgrad.LowRank(np.zeros((3, 1)), np.ones((1, 4)))
    np.testing.assert_array_equal(normgrad.prox(zero, 0.1, "nuc").dense(), 0)
    np.testing.assert_array_equal(normgrad.lmo(zero, 1.0, "nuc").dense(), 0)


def test_a_step_per_matrix() -> None:
    A, steps = TYPES["diagonal, batch"], np.array([0.0, 1.0])
    P = normgrad.prox(A, steps, normgrad.KyFan(2))
    np.testing.assert_array_equal(P.diagonal[0], A.diagonal[0])
    expected = normgrad.prox(A.dense()[1], 1.0, normgrad.KyFan(2))
    np.testing.assert_allclose(P.dense()[1], expected, atol=1e-14)
    with pytest.raises(ValueError, match="batch"):
        normgrad.prox(A, np.ones(3), "nuc")
    with pytest.raises(ValueError, match="nonnegative"):
        normgrad.prox(A, -1.0, "nuc")
    with pytest.raises(ValueError, match="method"):
        normgrad.prox(A, 1.0, "nuc", method="svd")


def test_single_precision() -> None:
    for dtype in (torch.float32, torch.float16):
        d = torch.tensor([3.0, -1.0, 0.5], dtype=dtype)
        P = normgrad.prox(normgrad.Diagonal(d), 1.0, "nuc").diagonal
        torch.testing.assert_close(P, torch.tensor([2.0, 0.0, 0.0], dtype=dtype))
        Z = normgrad.lmo(normgrad.LowRank(d[:, None], d[None]), 1.0, "nuc")
        assert Z.left.dtype == dtype


# --- the minimiser over the nuclear ball, by products alone ---


def counted(X: Any, log: list[int]) -> Any:
    def matvec(v: Any) -> Any:
        log.append(1)
        return X @ v

    def rmatvec(u: Any) -> Any:
        log.append(1)
        return X.T @ u

    return normgrad.Operator(matvec, X.shape, rmatvec=rmatvec, dtype=np.float64)


def test_large_matrices_by_products() -> None:
    m, n = 8000, 5000  # (as an array, of more entries than are ever formed)
    X = scipy.sparse.random(m, n, density=5e-4, random_state=3, format="lil")
    X[0, :30], X[1:40, 2] = 1.0, 2.0  # a gap after the first singular value
    log: list[int] = []
    low = normgrad.LowRank(np.zeros((m, 1)), np.ones((1, n)))
    X = X.tocsr()
    size = np.sqrt(scipy.sparse.linalg.eigsh(X.T @ X, 1, return_eigenvectors=False)[0])
    for A in (X, counted(X, log), low + X):
        Z = normgrad.lmo(A, 2.0, "nuc")
        assert isinstance(Z, normgrad.LowRank)
        assert Z.left.shape == (m, 1)
        assert Z.right.shape == (1, n)
        # in the ball, and Hoelder's inequality is tight
        assert np.linalg.norm(Z.left) * np.linalg.norm(Z.right) == pytest.approx(2.0, rel=1e-12)
        value = float((Z.left.T @ (X @ Z.right.T))[0, 0])
        assert value == pytest.approx(-2.0 * size, rel=1e-12)
    assert 0 < len(log) < 500
    with pytest.raises(TypeError, match="every type with 'nuc'"):
        normgrad.lmo(X, 2.0, 2)


def test_ties_are_shared() -> None:
    Q = np.linalg.qr(normal(5, 3))[0]
    A = normgrad.LowRank(Q * [2.0, 2.0, 1.0], np.linalg.qr(normal(4, 3))[0].T)
    Z = normgrad.lmo(A, 1.0, "nuc")
    assert Z.left.shape == (5, 2)
    np.testing.assert_allclose(Z.dense(), normgrad.lmo(A.dense(), 1.0, "nuc"), atol=1e-14)


def test_prox_of_low_rank_forms_no_large_array() -> None:
    A = normgrad.LowRank(normal(30000, 3), normal(3, 20000))
    P = normgrad.prox(A, 1.0, "nuc")
    lost = float(normgrad.matrix_norm(A, "nuc")) - float(normgrad.matrix_norm(P, "nuc"))
    assert lost == pytest.approx(3.0, rel=1e-8)
