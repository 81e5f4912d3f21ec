"""Matrix types at the edges: scale, emptiness, NaN, precision, batches, transforms, wrong use."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.matrices.cases import CASES

TYPES = {case.name: case for case in CASES if case.direct and case.name != "sum with an array"}
NORMS = ["fro", "nuc", 2, normgrad.Schatten(3)]


def parameters_of(A: Any) -> Any:
    return [np.asarray(p) for p in A.parameters]


@pytest.mark.parametrize("scale", [1e-295, 1e-200, 1e200])
@pytest.mark.parametrize("ord", NORMS, ids=str)
@pytest.mark.parametrize("name", ["diagonal", "blocks", "low rank", "kronecker", "hermitian"])
def test_scale(name: str, ord: Any, scale: float) -> None:
    """||c A|| = c ||A||; the gradient in the parameter that has the factor is the same."""
    case = TYPES[name]
    factor = 2.0 ** np.round(np.log2(scale))
    A = case.make(*case.parameters)
    scaled = A.replace((factor * case.parameters[0], *case.parameters[1:]))
    tol = 1e-13
    value, gradient = normgrad.value_and_grad(A, ord)
    received, G = normgrad.value_and_grad(scaled, ord)
    assert float(received) / factor == pytest.approx(float(value), rel=tol)
    np.testing.assert_allclose(G.parameters[0], gradient.parameters[0], rtol=tol, atol=tol)
    for g, e in zip(G.parameters[1:], gradient.parameters[1:], strict=True):
        np.testing.assert_allclose(g / factor, e, rtol=tol, atol=tol)
    E = A.replace(case.direction())
    dG, expected = normgrad.hvp(scaled, factor * E, ord), normgrad.hvp(A, E, ord)
    np.testing.assert_allclose(dG.parameters[0], expected.parameters[0], rtol=tol, atol=10 * tol)


def test_factors_of_opposite_scale() -> None:
    """The product is of moderate size, though neither factor is."""
    L, R = TYPES["low rank"].parameters
    value, G = normgrad.value_and_grad(normgrad.LowRank(L * 2.0**900, R * 2.0**-900), "nuc")
    expected, H = normgrad.value_and_grad(normgrad.LowRank(L, R), "nuc")
    assert float(value) == pytest.approx(float(expected), rel=1e-14)
    np.testing.assert_allclose(G.left * 2.0**900, H.left, rtol=1e-13)
    np.testing.assert_allclose(G.right / 2.0**900, H.right, rtol=1e-13)


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, normgrad.Schatten(1.5)], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["diagonal", "blocks", "low rank", "kronecker", "hermitian"])
def test_not_finite(name: str, bad: float, ord: Any) -> None:
    """NaN or inf in one matrix of a batch is the value of that one, and leaves the others alone."""
    case = TYPES[name]
    stack = [np.stack([p, p, p]) for p in case.parameters]
    stack[0][1].flat[0] = bad
    if name == "hermitian":
        stack[0] = stack[0].real.copy()
        stack[0][0] = stack[0][2] = (stack[0][0] + stack[0][0].T) / 2
    A = _batched(name, stack)
    value, G = normgrad.value_and_grad(A, ord)
    one = [p[0] for p in stack]
    expected, H = normgrad.value_and_grad(_batched(name, one), ord)
    assert not np.isfinite(value[1])
    for i in (0, 2):
        assert value[i] == pytest.approx(float(expected), rel=1e-14)
        for g, h in zip(G.parameters, H.parameters, strict=True):
            np.testing.assert_allclose(g[i], h, atol=1e-13)
    assert all(np.isnan(g[1]).all() for g in G.parameters)


def _batched(name: str, parameters: Any) -> Any:
    kinds = {
        "diagonal": normgrad.Diagonal,
        "blocks": normgrad.BlockDiagonal,
        "low rank": normgrad.LowRank,
        "kronecker": normgrad.Kronecker,
        "hermitian": normgrad.Hermitian,
        "psd": normgrad.PSD,
    }
    return kinds[name](*parameters)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("ord", ["fro", "nuc", normgrad.KyFan(2)], ids=str)
@pytest.mark.parametrize("name", ["diagonal", "blocks", "low rank", "kronecker", "psd"])
def test_batches(name: str, ord: Any, library: str) -> None:
    """A batch is its matrices one by one; Hessian products too, where they are."""
    rng = np.random.default_rng(2)
    stack = [np.stack([p, 0 * p, 2 * p[::-1]]) for p in TYPES[name].parameters]
    if name == "psd":
        stack = [np.stack([p, 0 * p, 2 * p]) for p in TYPES[name].parameters]
    E = [rng.standard_normal(p.shape) for p in stack]
    if name == "psd":
        E = [e + e.swapaxes(1, 2) for e in E]
    convert = {"numpy": np.asarray, "torch": torch.tensor, "jax": jnp.asarray}[library]
    A, D = (_batched(name, list(map(convert, x))) for x in (stack, E))
    value, G = normgrad.value_and_grad(A, ord)
    assert normgrad.matrix_norm(A, ord, keepdims=True).shape == (3, 1, 1)
    second = not (name == "kronecker" and ord == normgrad.KyFan(2))
    H = normgrad.hvp(A, D, ord) if second else None
    for i in range(3):
        one, direction = (_batched(name, [p[i] for p in x]) for x in (stack, E))
        expected, g = normgrad.value_and_grad(one, ord)
        assert float(value[i]) == pytest.approx(float(expected), rel=1e-13, abs=1e-300)
        for a, b in zip(parameters_of(G), g.parameters, strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-12)
        if H is not None:
            h = normgrad.hvp(one, direction, ord)
            for a, b in zip(parameters_of(H), h.parameters, strict=True):
                np.testing.assert_allclose(a[i], b, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16", "int64"])
@pytest.mark.parametrize("name", ["diagonal", "blocks", "low rank", "kronecker", "psd"])
def test_precision(name: str, dtype: str) -> None:
    """Half precision is computed in float32 and cast back; integers give the default float."""
    stack = [np.round(4 * p) for p in TYPES[name].parameters]
    if name == "psd":
        stack = [np.eye(3)]
    A = _batched(name, [torch.tensor(p).to(getattr(torch, dtype)) for p in stack])
    value, G = normgrad.value_and_grad(A, "nuc")
    expected, H = normgrad.value_and_grad(_batched(name, stack), "nuc")
    want = torch.float32 if dtype == "int64" else getattr(torch, dtype)
    tol = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-5)
    assert value.dtype is want
    assert float(value) == pytest.approx(float(expected), rel=tol)
    for g, h in zip(G.parameters, H.parameters, strict=True):
        assert g.dtype is want
        np.testing.assert_allclose(g.double().numpy(), h, rtol=tol, atol=tol * abs(h).max())


@pytest.mark.parametrize(
    "A",
    [
        normgrad.Diagonal(np.zeros(0)),
        normgrad.LowRank(np.zeros((0, 2)), np.zeros((2, 3))),
        normgrad.LowRank(np.zeros((4, 0)), np.zeros((0, 3))),
        normgrad.BlockDiagonal(np.zeros((0, 2, 2))),
        normgrad.Hermitian(np.zeros((0, 0))),
        normgrad.Kronecker(np.zeros((0, 2)), np.ones((2, 2))),
        normgrad.Diagonal(np.zeros(2), shape=(2, 3)),
        normgrad.LowRank(np.zeros((4, 2)), np.ones((2, 3))),
        normgrad.Kronecker(np.zeros((2, 2)), np.ones((2, 2))),
        normgrad.Hermitian(np.zeros((2, 2))),
    ],
    ids=lambda A: f"{type(A).__name__} {A.shape}",
)
@pytest.mark.parametrize("ord", NORMS, ids=str)
def test_empty_and_zero(A: Any, ord: Any) -> None:
    value, G = normgrad.value_and_grad(A, ord)
    assert value == 0
    for g, p in zip(G.parameters, A.parameters, strict=True):
        assert g.shape == p.shape
        assert not g.any()
    assert all(np.isfinite(h).all() for h in normgrad.hvp(A, A, ord).parameters)


def test_transforms_of_torch() -> None:
    """grad, vmap and hessian of torch.func take matrix types as arguments and results."""
    L, R = map(torch.tensor, TYPES["low rank"].parameters)
    f = lambda A: normgrad.matrix_norm(A, "nuc")  # noqa: E731
    G = torch.func.grad(f)(normgrad.LowRank(L, R))
    expected = normgrad.grad(normgrad.LowRank(L, R), "nuc")
    np.testing.assert_allclose(G.left, expected.left, atol=1e-14)
    values = torch.func.vmap(f)(normgrad.LowRank(torch.stack([L, 2 * L]), torch.stack([R, R])))
    np.testing.assert_allclose(values, [f(normgrad.LowRank(L, R)), f(normgrad.LowRank(2 * L, R))])
    H = torch.func.hessian(lambda L: f(normgrad.LowRank(L, R)))(L)
    E = torch.ones_like(L)
    product = normgrad.hvp(normgrad.LowRank(L, R), normgrad.LowRank(E, torch.zeros_like(R)), "nuc")
    np.testing.assert_allclose(torch.sum(H, dim=(-2, -1)), product.left, atol=1e-12)


def test_transforms_of_jax() -> None:
    """Types are pytrees: they pass jit, grad and vmap."""
    L, R = map(jnp.asarray, TYPES["low rank"].parameters)
    f = lambda A: normgrad.matrix_norm(A, "nuc")  # noqa: E731
    G = jax.jit(jax.grad(f))(normgrad.LowRank(L, R))
    assert isinstance(G, normgrad.LowRank)
    expected = normgrad.grad(normgrad.LowRank(L, R), "nuc")
    np.testing.assert_allclose(G.left, expected.left, atol=1e-14)
    values = jax.vmap(f)(normgrad.LowRank(jnp.stack([L, 2 * L]), jnp.stack([R, R])))
    np.testing.assert_allclose(values, [f(normgrad.LowRank(L, R)), f(normgrad.LowRank(2 * L, R))])


def test_psd_takes_the_trace() -> None:
    """The gradient is I on all of the cone, where a Hermitian matrix has the projector."""
    matrix = np.diag([2.0, 0.0])
    np.testing.assert_array_equal(normgrad.grad(normgrad.PSD(matrix), "nuc").matrix, np.eye(2))
    projector = normgrad.grad(normgrad.Hermitian(matrix), "nuc").matrix
    np.testing.assert_array_equal(projector, np.diag([1.0, 0.0]))
    assert normgrad.explain(normgrad.PSD(matrix), "nuc").factorization == "none"


@pytest.mark.parametrize("is_complex", [False, True])
def test_hermitian_arrays_are_recognised(is_complex: bool) -> None:
    """An exactly Hermitian array costs one eigenvalue problem, with the same result."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 60)) + 1j * is_complex * rng.standard_normal((60, 60))
    x = x if is_complex else x.real
    A = x + x.conj().T
    assert normgrad.explain(A, "nuc").factorization == "hermitian"
    nearly = A.copy()
    nearly[40, 3] = np.nextafter(A[40, 3].real, 9)
    assert normgrad.explain(nearly, "nuc").factorization != "hermitian"
    for ord in ("nuc", 2, normgrad.KyFan(7), normgrad.Schatten(3)):
        value, G = normgrad.value_and_grad(A, ord)
        expected, H = normgrad.value_and_grad(A, ord, method="svd")
        assert value == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(G, H, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: normgrad.LowRank(np.ones((3, 2)), np.ones((3, 4))), ValueError, "same r"),
        (lambda: normgrad.LowRank(np.ones(3), np.ones((3, 4))), ValueError, "at least 2 axes"),
        (lambda: normgrad.LowRank("a", np.ones((3, 4))), TypeError, "must be an array"),
        (lambda: normgrad.LowRank(torch.ones(3, 2), jnp.ones((2, 3))), TypeError, "one library"),
        (lambda: normgrad.Diagonal(np.ones(3), shape=(2, 5)), ValueError, r"min\(m, n\) = 3"),
        (lambda: normgrad.Hermitian(np.ones((2, 3))), ValueError, "square"),
        (
            lambda: normgrad.Hermitian(np.array([[1.0, 2.0], [0.0, 1.0]]), check=True),
            ValueError,
            "not Hermitian",
        ),
        (lambda: normgrad.PSD(np.diag([1.0, -1.0]), check=True), ValueError, "eigenvalue -1"),
        (lambda: normgrad.Diagonal(np.ones(2)) + np.ones((3, 3)), ValueError, "one shape"),
        (lambda: np.ones(2) * normgrad.Diagonal(np.ones(2)), TypeError, "by a number"),
        (lambda: normgrad.Sum(), ValueError, "at least one"),
        (lambda: normgrad.BlockDiagonal(np.ones((2, 2))), ValueError, "at least 3 axes"),
        (
            lambda: normgrad.matrix_norm(normgrad.Diagonal(np.ones(2)), axis=(-1, 0)),
            ValueError,
            r"matrix axes last.*got axis=\(-1, 0\).*x\.T",
        ),
        (
            lambda: normgrad.matrix_norm(normgrad.Diagonal(np.ones((4, 2))), axis=(0, 1)),
            ValueError,
            r"shape \(4, 2, 2\) has its matrix axes last",
        ),
        (
            lambda: normgrad.matrix_norm(normgrad.Diagonal(np.ones(2)), method="qr"),
            ValueError,
            "not for matrix types",
        ),
        (
            lambda: normgrad.matrix_norm(normgrad.Diagonal(np.array(["a", "b"]))),
            TypeError,
            "real or complex numbers",
        ),
        (
            lambda: normgrad.hvp(normgrad.Diagonal(np.ones(2)), np.ones((2, 2)), "nuc"),
            TypeError,
            "direction must be a Diagonal",
        ),
        (lambda: setattr(normgrad.Diagonal(np.ones(2)), "diagonal", 1), AttributeError, "immut"),
    ],
)
def test_wrong_use(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_too_large_for_an_array() -> None:
    """What needs all singular values of a sum is refused beyond a size, never approximated."""
    A = normgrad.Diagonal(np.ones(10**5)) + normgrad.LowRank(
        np.ones((10**5, 1)), np.ones((1, 10**5))
    )
    with pytest.raises(ValueError, match="limit is 2"):
        normgrad.matrix_norm(A, "nuc")
    with pytest.raises(NotImplementedError, match="too large"):
        normgrad.hvp(A, A, 2)


def test_products_with_vectors(rng: Any) -> None:
    """The leading singular values of a large sum; the gradient is that of the array."""
    d, L, R = rng.standard_normal(400), rng.standard_normal((400, 3)), rng.standard_normal((3, 400))
    A = normgrad.Diagonal(d) + normgrad.LowRank(L, R)
    dense = np.diag(d) + L @ R
    for ord in (2, normgrad.KyFan(2)):
        assert normgrad.explain(A, ord).factorization == "lanczos"
        value, G = normgrad.value_and_grad(A, ord)
        expected, H = normgrad.value_and_grad(dense, ord, method="svd")
        assert value == pytest.approx(expected, rel=1e-13)
        diagonal, left, right = G.parameters
        np.testing.assert_allclose(diagonal, np.diag(H), atol=1e-11)
        np.testing.assert_allclose(left, H @ R.T, atol=1e-10)
        np.testing.assert_allclose(right, L.T @ H, atol=1e-10)
        E = [rng.standard_normal(p.shape) for p in A.parameters]
        product = normgrad.hvp(A, A.replace(tuple(E)), ord).parameters
        dH = normgrad.hvp(dense, np.diag(E[0]) + E[1] @ R + L @ E[2], ord, method="svd")
        np.testing.assert_allclose(product[0], np.diag(dH), atol=1e-8)
        np.testing.assert_allclose(product[1], dH @ R.T + H @ E[2].T, atol=1e-8)


def test_ties_are_found_by_products(rng: Any) -> None:
    """A threefold top, of a matrix that is only known by its products."""
    d = np.r_[np.full(3, 5.0), rng.uniform(0, 4, 397)]
    A = normgrad.Diagonal(d) + normgrad.LowRank(np.zeros((400, 1)), np.zeros((1, 400)))
    value, G = normgrad.value_and_grad(A, 2)
    assert value == pytest.approx(5, rel=1e-14)
    np.testing.assert_allclose(G.parameters[0], (d == 5) / 3, atol=1e-12)


def test_small_blocks_behind_a_large_one_of_low_rank() -> None:
    """The second singular value is that of a block 1e-9 the size of the first."""
    u, v = np.random.default_rng(0).standard_normal((2, 4))
    B = np.zeros((12, 4, 4))
    B[0] = np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v)
    B[1] = 1e-9 * np.diag([1.0, 0.5, 0.25, 0.1])
    A = normgrad.BlockDiagonal(B)
    value, G = normgrad.value_and_grad(A, normgrad.KyFan(2))
    assert value == pytest.approx(1 + 1e-9, abs=1e-15)
    assert G.dense()[4, 4] == pytest.approx(1)
    weighted = normgrad.WeightedNuclear([1e-9, 1.0])
    assert normgrad.matrix_norm(A, weighted) == pytest.approx(2e-9, rel=1e-6)


@pytest.mark.parametrize("ord", ["fro", 2, "nuc", 1, normgrad.KyFan(1)], ids=str)
def test_empty_blocks_and_patterns(ord: Any) -> None:
    """They are rows and columns of zeros."""
    none = np.zeros(0, int)
    for A in (
        normgrad.BlockDiagonal([np.zeros((0, 2)), np.diag([3.0, 1]), np.zeros((1, 0))]),
        normgrad.Sparse(np.zeros(0), (none, none), (4, 3)),
    ):
        dense = A.dense()
        value, G = normgrad.value_and_grad(A, ord)
        same_value, same_G = normgrad.value_and_grad(dense, ord)
        assert dense.shape == A.shape
        assert float(value) == pytest.approx(float(same_value))
        np.testing.assert_allclose(G.dense(), same_G, atol=1e-15)
    with pytest.raises(ValueError, match="at least one block"):
        normgrad.BlockDiagonal([])
