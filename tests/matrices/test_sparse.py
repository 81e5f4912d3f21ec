"""Sparse matrices of SciPy, PyTorch and JAX: as the dense array, on the stored positions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import torch
from jax.experimental import sparse as jax_sparse

import normgrad
from tests.matrices.sparse_examples import (
    COLUMNS,
    FORMATS,
    LAYOUTS,
    NORMS,
    ROWS,
    SHAPE,
    VALUES,
    WARNINGS_OF_PYTORCH,
    array_of,
    bcoo_of,
    scipy_of,
    torch_of,
)

pytestmark = WARNINGS_OF_PYTORCH


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_scipy(format, kind):
    """Value, gradient and Hessian product are the dense ones, of the class that was given."""
    make = getattr(scipy.sparse, f"{format}_{kind}")
    A, E = make(scipy_of()), make(scipy_of(VALUES[::-1].copy()))
    before = A.copy()
    stored = np.zeros(SHAPE, dtype=bool)
    stored[A.tocoo().row, A.tocoo().col] = True
    if format == "dia":  # (its own conversion drops zeros)
        i, j = np.indices(SHAPE)
        stored = np.isin(j - i, A.offsets)
    for ord in NORMS:
        value, gradient = normgrad.value_and_grad(A, ord)
        expected, G = normgrad.value_and_grad(array_of(), ord)
        assert value == pytest.approx(expected, rel=1e-14, abs=1e-15)
        assert type(gradient) is make
        np.testing.assert_allclose(gradient.toarray(), G * stored, atol=1e-13)
        dG = normgrad.hvp(A, E, ord)
        assert type(dG) is make
        expected = normgrad.hvp(array_of(), E.toarray(), ord) * stored
        np.testing.assert_allclose(dG.toarray(), expected, atol=1e-11)
        linear = normgrad.linearize(A, ord)[1](E)
        np.testing.assert_allclose(linear.toarray(), expected, atol=1e-11)
    assert (before != A).nnz == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ord", NORMS)
def test_torch_values_from_elsewhere(layout, ord):
    leaf = torch.tensor(VALUES, requires_grad=True)
    normgrad.matrix_norm(torch_of(leaf, layout), ord).backward()
    G = normgrad.grad(array_of(), ord)[ROWS, COLUMNS]
    np.testing.assert_allclose(leaf.grad, G, atol=1e-13)


@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("ord", ["nuc", 2, 1, "fro"])
def test_torch_leaf(layout, ord):
    """The gradient of a sparse leaf is sparse, of its layout; that is PyTorch's own way."""
    leaf = torch_of(VALUES, layout).requires_grad_()
    normgrad.matrix_norm(leaf, ord).backward()
    assert leaf.grad.layout is LAYOUTS[layout]
    received = leaf.grad.to_dense().numpy()[ROWS, COLUMNS]
    np.testing.assert_allclose(received, normgrad.grad(array_of(), ord)[ROWS, COLUMNS], atol=1e-13)
    gradient = normgrad.grad(leaf.detach(), ord)
    assert gradient.layout is LAYOUTS[layout]
    np.testing.assert_allclose(gradient.to_dense(), leaf.grad.to_dense(), atol=1e-13)


def test_torch_csc_gradient_is_csc():
    gradient = normgrad.grad(torch_of(VALUES, "csc"), "nuc")
    assert gradient.layout is torch.sparse_csc
    received = gradient.to_dense().numpy()[ROWS, COLUMNS]
    np.testing.assert_allclose(
        received, normgrad.grad(array_of(), "nuc")[ROWS, COLUMNS], atol=1e-13
    )


def test_torch_second_order_of_a_leaf():
    leaf = torch_of(VALUES).coalesce().requires_grad_()
    value = normgrad.matrix_norm(leaf, "nuc")
    (G,) = torch.autograd.grad(value, leaf, create_graph=True)
    E = VALUES[::-1].copy()
    (received,) = torch.autograd.grad(G.coalesce().values() @ torch.tensor(E), leaf)
    expected = normgrad.hvp(array_of(), array_of(E), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(received.coalesce().values(), expected, atol=1e-12)


def test_torch_functions_of_values():
    """torch.func and forward mode go by the type Sparse."""
    E = torch.tensor(VALUES[::-1].copy())

    def norm(values):
        return normgrad.matrix_norm(normgrad.Sparse(values, (ROWS, COLUMNS), SHAPE), "nuc")

    x = torch.tensor(VALUES)
    received = torch.func.jvp(torch.func.grad(norm), (x,), (E,))[1]
    expected = normgrad.hvp(array_of(), array_of(E.numpy()), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(received, expected, atol=1e-12)
    both = torch.func.vmap(torch.func.grad(norm))(torch.stack([x, E]))
    expected = normgrad.grad(array_of(E.numpy()), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(both[1], expected, atol=1e-12)


@pytest.mark.parametrize("kind", [jax_sparse.BCOO, jax_sparse.BCSR])
@pytest.mark.parametrize(("compiled", "ord"), [(False, 1), (True, 1), (True, 2)])
def test_jax(kind, compiled, ord):
    """Also where the indices are arguments of a compiled function."""
    x = bcoo_of() if kind is jax_sparse.BCOO else jax_sparse.BCSR.from_bcoo(bcoo_of())
    f = lambda x: normgrad.value_and_grad(x, ord)  # noqa: E731
    value, gradient = (jax.jit(f) if compiled else f)(x)
    expected, G = normgrad.value_and_grad(array_of(), ord)
    assert isinstance(gradient, kind)
    assert float(value) == pytest.approx(float(expected), rel=1e-14, abs=1e-15)
    received = np.asarray(gradient.todense())
    np.testing.assert_allclose(received, G * (array_of() != 0), atol=1e-13)


def test_jax_grad_of_sparse_arrays():
    x = bcoo_of()
    norm = lambda x: normgrad.matrix_norm(x, "nuc")  # noqa: E731
    expected = normgrad.grad(array_of(), "nuc")[ROWS, COLUMNS]
    for gradient in (
        jax.jit(jax.grad(norm, allow_int=True))(x),
        jax.grad(jax.jit(norm), allow_int=True)(x),
        jax_sparse.grad(norm)(x),
    ):
        np.testing.assert_allclose(gradient.data, expected, atol=1e-13)


@pytest.mark.parametrize("ord", ["nuc", "fro"])
def test_jax_second_order_with_traced_indices(ord):
    E = jnp.asarray(VALUES[::-1].copy())

    def gradient(values, indices):
        norm = lambda v: normgrad.matrix_norm(  # noqa: E731
            jax_sparse.BCOO((v, indices), shape=SHAPE), ord
        )
        return jax.grad(norm)(values)

    x = bcoo_of()
    expected = normgrad.hvp(array_of(), array_of(np.asarray(E)), ord)[ROWS, COLUMNS]
    along = lambda v: jax.jvp(lambda v: gradient(v, x.indices), (v,), (E,))[1]  # noqa: E731
    np.testing.assert_allclose(jax.jit(along)(x.data), expected, atol=1e-12)
    reverse = jax.grad(lambda v: jnp.vdot(jax.jit(gradient)(v, x.indices), E))(x.data)
    np.testing.assert_allclose(reverse, expected, atol=1e-12)

    @jax.jit
    def product(x, e):
        return normgrad.hvp(x, jax_sparse.BCOO((e, x.indices), shape=SHAPE), ord)

    np.testing.assert_allclose(product(x, E).data, expected, atol=1e-12)


def test_jax_vmap():
    """Over values and over indices that are arguments of a compiled function, to second order."""
    x = bcoo_of()
    values, E = jnp.stack([x.data, 2 * x.data, x.data[::-1]]), x.data[::-1] ** 2
    indices = jnp.stack([x.indices, x.indices[::-1], x.indices])

    def norm(v, i):
        return normgrad.matrix_norm(jax_sparse.BCOO((v, i), shape=SHAPE), normgrad.Schatten(3))

    def both(v, i):
        return jax.jvp(lambda v: jax.grad(norm)(v, i), (v,), (E,))

    for axes, where in (((0, None), x.indices), ((0, 0), indices)):
        G, dG = jax.jit(jax.vmap(both, axes))(values, where)
        for k, v in enumerate(values):
            order = slice(None, None, -1 if axes == (0, 0) and k == 1 else 1)
            A, D = (array_of(np.asarray(y)[order]) for y in (v, E))
            expected = normgrad.grad(A, normgrad.Schatten(3))[ROWS, COLUMNS][order]
            np.testing.assert_allclose(G[k], expected, atol=1e-13)
            expected = normgrad.hvp(A, D, normgrad.Schatten(3))[ROWS, COLUMNS][order]
            np.testing.assert_allclose(dG[k], expected, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_values_where_many_singular_values_are_tied(k: int, rng: Any) -> None:
    """More than a gradient could be told of: an error for that, and none for the value."""
    B = rng.standard_normal((60, 60))
    A = scipy.sparse.block_diag([B] * 100).tocsr()
    s = np.linalg.svd(B, compute_uv=False)
    assert float(normgrad.ky_fan_norm(A, k)) == pytest.approx(k * s[0], rel=1e-13)
    with pytest.raises(np.linalg.LinAlgError, match="more singular values are tied"):
        normgrad.grad(A, normgrad.KyFan(k))
