"""Patterns, degenerate input, size, sums of sparse matrices, and what is refused."""

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

# --- patterns ---


def test_duplicates_are_added_up():
    index = np.array([[0, 1], [2, 0], [0, 1]])
    values = np.array([1.0, -1.0, 3.0])
    A = np.array([[0, 4.0], [0, 0], [-1.0, 0]])
    coo = scipy.sparse.coo_array((values, index.T), shape=(3, 2))
    csr = scipy.sparse.csr_array(([1.0, 3.0, -1.0], [1, 1, 0], [0, 2, 2, 3]), shape=(3, 2))
    x = torch.sparse_coo_tensor(torch.tensor(index.T), torch.tensor(values), (3, 2))
    bcoo = jax_sparse.BCOO((jnp.asarray(values), jnp.asarray(index)), shape=(3, 2))
    for ord in ("fro", "nuc", 1):
        value, G = normgrad.value_and_grad(A, ord)
        for y in (coo, csr, x, bcoo):
            received, gradient = normgrad.value_and_grad(y, ord)
            assert float(received) == pytest.approx(float(value), rel=1e-14)
            dense = gradient.to_dense() if y is x else normgrad.matrices.as_matrix(gradient).dense()
            np.testing.assert_allclose(dense, G * (A != 0), atol=1e-14)
        norm = lambda x: normgrad.matrix_norm(x, ord)  # noqa: B023, E731
        data = jax.jit(jax.grad(norm, allow_int=True))(bcoo).data  # for each as it was stored
        np.testing.assert_allclose(data, G[index[:, 0], index[:, 1]], atol=1e-14)
        leaf = torch.tensor(values, requires_grad=True)
        norm(torch.sparse_coo_tensor(torch.tensor(index.T), leaf, (3, 2))).backward()
        np.testing.assert_allclose(leaf.grad, data, atol=1e-14)
    assert coo.nnz == csr.nnz == 3
    assert csr.indices.tolist() == [1, 1, 0]


@pytest.mark.parametrize("format", FORMATS)
def test_stored_zeros_are_part_of_the_pattern(format):
    """Also of a gradient, which can be a direction for that reason."""
    A = scipy.sparse.coo_array(([1.0, 2.0, 3.0], ([0, 0, 2], [0, 2, 2])), shape=(3, 3))
    A = A.asformat(format)
    stored = normgrad.matrices.as_matrix(A).values.shape
    gradient = normgrad.grad(A, 1)  # has one entry, or two, that is not zero
    assert np.count_nonzero(gradient.toarray()) == 2
    assert normgrad.matrices.as_matrix(gradient).values.shape == stored
    assert normgrad.hvp(A, gradient, "nuc").shape == A.shape


def test_a_stored_zero_has_a_gradient():
    A = scipy.sparse.csr_array(([3.0, 0.0, 1.0], [0, 1, 1], [0, 2, 3]), shape=(2, 2))
    dense = A.toarray()
    dense[0, 1] = 1e-300  # (the Hessian tells: d^2 nuc / d a_01 is not 0)
    E = scipy.sparse.csr_array(([0.0, 1.0, 0.0], [0, 1, 1], [0, 2, 3]), shape=(2, 2))
    received = normgrad.hvp(A, E, "nuc")
    assert received.nnz == 3
    expected = normgrad.hvp(A.toarray(), E.toarray(), "nuc")
    np.testing.assert_allclose(
        received.toarray()[[0, 0, 1], [0, 1, 1]], expected[[0, 0, 1], [0, 1, 1]]
    )
    assert received.toarray()[0, 1] == pytest.approx(0.25)  # 1 / (3 + 1)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.float32, np.complex64, np.complex128])
def test_dtypes(dtype, index):
    dense = array_of().round().astype(dtype)
    A = scipy.sparse.csr_array(dense)
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    for ord in ("fro", 2, 1, "nuc"):
        value, gradient = normgrad.value_and_grad(A, ord)
        expected, G = normgrad.value_and_grad(dense, ord)
        assert gradient.dtype == G.dtype
        assert value.dtype == expected.dtype
        assert value == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(gradient.toarray(), G * (dense != 0), atol=2e-6)


def test_half_precision():
    x = torch_of(VALUES).to(torch.bfloat16).coalesce()
    value, gradient = normgrad.value_and_grad(x, "nuc")
    assert value.dtype == gradient.dtype == torch.bfloat16


# --- degenerate input ---


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (4, 0), (0, 0), (300, 400)])
@pytest.mark.parametrize("ord", NORMS)
def test_nothing_stored(shape, ord):
    if ord == normgrad.KyFan(2) and 0 in shape:
        ord = 2
    for A in (
        scipy.sparse.csr_array(shape),
        torch.zeros(shape, dtype=torch.float64).to_sparse(),
        jax_sparse.BCOO.fromdense(jnp.zeros(shape), nse=0),
    ):
        value, gradient = normgrad.value_and_grad(A, ord)
        assert float(value) == 0
        assert gradient.shape == A.shape
    stored = scipy.sparse.coo_array(([0.0], ([1], [2])), shape=(300, 400))
    value, gradient = normgrad.value_and_grad(stored, ord)
    assert value == 0
    assert gradient.toarray().any() == False  # noqa: E712


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("ord", NORMS)
@pytest.mark.parametrize("size", [6, 300])
def test_nan_and_inf(bad, ord, size):
    values = VALUES.copy()
    values[2] = bad
    A = scipy.sparse.coo_array((values, (ROWS, COLUMNS)), shape=(size, size))
    value, gradient = normgrad.value_and_grad(A, ord)
    assert np.isnan(value) or value == bad
    assert np.isnan(gradient.data).all()
    dG = normgrad.hvp(A, A, ord)
    assert np.isnan(dG.data).all()


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-310])
@pytest.mark.parametrize("ord", NORMS)
@pytest.mark.parametrize("size", [6, 250])
def test_any_magnitude(scale, ord, size):
    def norm(values):
        A = scipy.sparse.coo_array((values, (ROWS, COLUMNS)), shape=(size, size))
        return normgrad.value_and_grad(A, ord)

    (value, G), (expected, H) = norm(VALUES * scale), norm(VALUES)
    rel = 1e-13 if scale > 1e-300 else 1e-10
    assert value == pytest.approx(expected * scale, rel=rel)
    np.testing.assert_allclose(G.data, H.data, rtol=1e2 * rel, atol=1e2 * rel)


def test_lines_tie_and_count_stored_values():
    """Tied columns share by 1/(number of nonzeros); a stored zero is none."""
    A = scipy.sparse.coo_array(([2.0, -1.0, 1.0, 0.0], ([0, 0, 1, 2], [0, 1, 1, 1])), shape=(3, 3))
    assert normgrad.grad(A, 1).toarray().tolist() == normgrad.grad(A.toarray(), 1).tolist()
    assert normgrad.grad(A, 1).toarray()[0, 0] == pytest.approx(2 / 3)
    assert normgrad.matrix_norm(A, -1) == 0
    assert not normgrad.grad(A, -1).data.any()


# --- size ---


def test_lines_and_frobenius_of_any_size():
    n = 10**9
    A = scipy.sparse.coo_array(([3.0, -4.0], ([0, 10**6], [5, 7])), shape=(2 * 10**6, 10**7))
    assert normgrad.matrix_norm(A) == 5
    assert normgrad.matrix_norm(A, 1) == 4
    assert normgrad.matrix_norm(A, -1) == 0
    assert normgrad.grad(A, np.inf).data.tolist() == [0, -1]
    assert normgrad.matrix_norm(normgrad.Sparse([3.0, -4.0], ([0, n - 1], [5, 7]), (n, n))) == 5


def _large(rng: Any, n: int, dtype: Any = float) -> Any:
    """Return a permuted diagonal with known singular values, 10 and 5 and less."""
    s = np.concatenate([[10.0, 5.0], rng.uniform(0, 3, n - 2)])
    phase = np.exp(1j * s) if dtype is complex else np.where(s > 2, 1, -1)
    rows, columns = rng.permutation(n), rng.permutation(n)
    return scipy.sparse.coo_array((s * phase, (rows, columns)), shape=(n, n)).tocsr()


@pytest.mark.parametrize("dtype", [float, complex])
def test_large_spectral(rng, dtype):
    A = _large(rng, 10000, dtype)
    assert normgrad.explain(A, 2).factorization == "lanczos"
    value, gradient = normgrad.value_and_grad(A, 2)
    assert value == pytest.approx(10, rel=1e-14)
    top = np.abs(A.data) > 7
    np.testing.assert_allclose(gradient.data, np.where(top, A.data / np.abs(A.data), 0), atol=1e-13)
    assert normgrad.matrix_norm(A, normgrad.KyFan(2)) == pytest.approx(15, rel=1e-14)
    with pytest.raises(ValueError, match=r"1e\+08 entries; the limit"):
        normgrad.matrix_norm(A, "nuc")


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_large_spectral_elsewhere(rng, library):
    A = _large(rng, 1000).tocoo()
    index = np.stack(A.coords)
    if library == "torch":
        x = torch.sparse_coo_tensor(torch.tensor(index), torch.tensor(A.data), A.shape)
    else:
        x = jax_sparse.BCOO((jnp.asarray(A.data), jnp.asarray(index.T)), shape=A.shape)
    f = lambda x: normgrad.value_and_grad(x, 2)  # noqa: E731
    value, gradient = (f if library == "torch" else jax.jit(f))(x)
    assert float(value) == pytest.approx(10, rel=1e-14)
    data = gradient.coalesce().values() if library == "torch" else gradient.data
    assert float(abs(data).max()) == pytest.approx(1, rel=1e-12)


def test_long_and_too_large_for_an_array(rng):
    rows, columns = rng.permutation(10**6)[:100], np.arange(100)
    s = np.linspace(1, 2, 100)
    A = scipy.sparse.coo_array((s, (rows, columns)), shape=(10**6, 100))
    assert normgrad.matrix_norm(A, 2) == pytest.approx(2, rel=1e-14)


# --- sums ---


def test_matrix_completion_iterate(rng):
    """Sparse + low rank, without the array of either."""
    n, r = 300, 3
    S = scipy.sparse.random_array((n, n), density=0.01, rng=rng).tocsr()
    left, right = rng.standard_normal((n, r)), rng.standard_normal((r, n))
    L = normgrad.LowRank(left, right)
    for A in (S + L, L + S, normgrad.Sum(S, L)):
        assert normgrad.explain(A, 2).factorization == "lanczos"
        value, gradient = normgrad.value_and_grad(A, 2)
        expected, G = normgrad.value_and_grad(S.toarray() + left @ right, 2)
        assert value == pytest.approx(expected, rel=1e-13)
        by_type = {type(term).__name__: term for term in gradient.terms}
        np.testing.assert_allclose(by_type["LowRank"].left, G @ right.T, atol=1e-11)
        given = by_type["Sparse"].given()
        assert type(given) is type(S)
        np.testing.assert_allclose(given.toarray(), G * (S.toarray() != 0), atol=1e-12)


def test_sums_with_torch_and_jax():
    low = (VALUES[:6, None], VALUES[None, :5])
    expected = normgrad.matrix_norm(array_of() + low[0] @ low[1], "nuc")
    a, b = map(torch.tensor, low)
    L = normgrad.LowRank(a, b)
    for A in (L + torch_of(VALUES), normgrad.Sum(torch_of(VALUES, "csr"), L)):
        assert float(normgrad.matrix_norm(A, "nuc")) == pytest.approx(float(expected))
    x, J = bcoo_of(), normgrad.LowRank(*map(jnp.asarray, low))
    f = lambda x, J: normgrad.value_and_grad(J + x, "nuc")  # noqa: E731
    value, gradient = jax.jit(f)(x, J)
    assert float(value) == pytest.approx(float(expected))
    assert gradient.terms[1].given().shape == SHAPE


def test_products_need_no_scipy():
    """Those of the type Sparse in NumPy, and in batches."""
    rng = np.random.default_rng(0)
    V, U = rng.standard_normal((5, 3)), rng.standard_normal((6, 2))
    pattern = normgrad.Sparse(VALUES, (ROWS, COLUMNS), SHAPE).static
    np.testing.assert_allclose(pattern._gathered(VALUES, V), array_of() @ V, atol=1e-14)
    back = pattern.transposed._gathered(VALUES, U)
    np.testing.assert_allclose(back, array_of().T @ U, atol=1e-14)
    batch = np.stack([VALUES, 2 * VALUES])
    A = normgrad.Sparse(batch, (ROWS, COLUMNS), SHAPE)
    np.testing.assert_allclose(A @ V, np.stack([array_of() @ V, 2 * array_of() @ V]), atol=1e-14)
    value, gradient = normgrad.value_and_grad(A, "nuc")
    np.testing.assert_allclose(value, normgrad.matrix_norm(array_of(), "nuc") * np.array([1, 2]))
    assert gradient.values.shape == batch.shape
    many = np.stack([V, -V])
    one = normgrad.Sparse(VALUES, (ROWS, COLUMNS), SHAPE)
    np.testing.assert_allclose(one @ many, array_of() @ many, atol=1e-14)


# --- what is refused ---

REFUSED = [
    (lambda: normgrad.matrix_norm(scipy.sparse.coo_array(np.ones(3))), ValueError, "two axes"),
    (lambda: normgrad.matrix_norm(torch_of(VALUES).to_dense().to_sparse(1)), ValueError, "dense"),
    (
        lambda: normgrad.matrix_norm(torch.eye(4).to_sparse_bsr((2, 2))),
        TypeError,
        "COO, CSR and CSC",
    ),
    (
        lambda: normgrad.matrix_norm(jax_sparse.BCOO.fromdense(jnp.ones((2, 2, 2)), n_batch=1)),
        ValueError,
        "vmap",
    ),
    (lambda: normgrad.Sparse(VALUES, (ROWS, COLUMNS[1:]), SHAPE), ValueError, "same length"),
    (lambda: normgrad.Sparse(VALUES, (ROWS, COLUMNS), (5, 5)), ValueError, "0 to 4; got 0 to 5"),
    (lambda: normgrad.Sparse([1.0, 2.0], ([0, 0], [1, 1]), (2, 2)), ValueError, "distinct"),
    (lambda: normgrad.Sparse([1.0], ([0.5], [0]), (2, 2)), TypeError, "integers"),
    (lambda: normgrad.matrix_norm(scipy_of(), axis=(1, 0)), ValueError, r"axes last.*x\.T"),
    (lambda: normgrad.hvp(scipy_of(), scipy.sparse.eye_array(6, 5), 2), TypeError, "direction"),
    (
        lambda: normgrad.matrix_norm(scipy_of().astype(np.longdouble)),
        TypeError,
        "longdouble|float128",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
