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

NORMS = ["fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf, normgrad.KyFan(2), normgrad.Schatten(3)]
FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]
LAYOUTS = {"coo": torch.sparse_coo, "csr": torch.sparse_csr, "csc": torch.sparse_csc}

pytestmark = pytest.mark.filterwarnings(
    # of PyTorch itself
    "ignore:Sparse CS:UserWarning",
    "ignore:Sparse invariant checks:UserWarning",
    "ignore:.*torch.jit.script:DeprecationWarning",
)

ROWS = np.array([0, 0, 1, 3, 4, 4, 5])
COLUMNS = np.array([1, 3, 0, 3, 1, 4, 2])
VALUES = np.array([1.5, -2.0, 0.5, 3.0, -1.0, 0.25, 2.0])
SHAPE = (6, 5)


def _array(values: Any = VALUES) -> Any:
    A = np.zeros(SHAPE, dtype=np.asarray(values).dtype)
    A[ROWS, COLUMNS] = values
    return A


def _scipy(values: Any = VALUES, format: str = "csr") -> Any:
    return scipy.sparse.coo_array((values, (ROWS, COLUMNS)), shape=SHAPE).asformat(format)


def _bcoo(values: Any = VALUES) -> Any:
    index = jnp.asarray(np.stack([ROWS, COLUMNS], axis=1))
    return jax_sparse.BCOO((jnp.asarray(values), index), shape=SHAPE)


def _torch(values: Any, layout: str = "coo") -> Any:
    values = torch.as_tensor(values)
    x = torch.sparse_coo_tensor(torch.tensor(np.stack([ROWS, COLUMNS])), values, SHAPE)
    return x.to_sparse(layout=LAYOUTS[layout]) if layout != "coo" else x


# --- types and formats ---


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_scipy(format, kind):
    """Value, gradient and Hessian product are the dense ones, of the class that was given."""
    make = getattr(scipy.sparse, f"{format}_{kind}")
    A, E = make(_scipy()), make(_scipy(VALUES[::-1].copy()))
    before = A.copy()
    stored = np.zeros(SHAPE, dtype=bool)
    stored[A.tocoo().row, A.tocoo().col] = True
    if format == "dia":  # (its own conversion drops zeros)
        i, j = np.indices(SHAPE)
        stored = np.isin(j - i, A.offsets)
    for ord in NORMS:
        value, gradient = normgrad.value_and_grad(A, ord)
        expected, G = normgrad.value_and_grad(_array(), ord)
        assert value == pytest.approx(expected, rel=1e-14, abs=1e-15)
        assert type(gradient) is make
        np.testing.assert_allclose(gradient.toarray(), G * stored, atol=1e-13)
        dG = normgrad.hvp(A, E, ord)
        assert type(dG) is make
        expected = normgrad.hvp(_array(), E.toarray(), ord) * stored
        np.testing.assert_allclose(dG.toarray(), expected, atol=1e-11)
        linear = normgrad.linearize(A, ord)[1](E)
        np.testing.assert_allclose(linear.toarray(), expected, atol=1e-11)
    assert (before != A).nnz == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ord", NORMS)
def test_torch_values_from_elsewhere(layout, ord):
    leaf = torch.tensor(VALUES, requires_grad=True)
    normgrad.matrix_norm(_torch(leaf, layout), ord).backward()
    G = normgrad.grad(_array(), ord)[ROWS, COLUMNS]
    np.testing.assert_allclose(leaf.grad, G, atol=1e-13)


@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("ord", ["nuc", 2, 1, "fro"])
def test_torch_leaf(layout, ord):
    """The gradient of a sparse leaf is sparse, of its layout; that is PyTorch's own way."""
    leaf = _torch(VALUES, layout).requires_grad_()
    normgrad.matrix_norm(leaf, ord).backward()
    assert leaf.grad.layout is LAYOUTS[layout]
    received = leaf.grad.to_dense().numpy()[ROWS, COLUMNS]
    np.testing.assert_allclose(received, normgrad.grad(_array(), ord)[ROWS, COLUMNS], atol=1e-13)
    gradient = normgrad.grad(leaf.detach(), ord)
    assert gradient.layout is LAYOUTS[layout]
    np.testing.assert_allclose(gradient.to_dense(), leaf.grad.to_dense(), atol=1e-13)


def test_torch_csc_gradient_is_csc():
    gradient = normgrad.grad(_torch(VALUES, "csc"), "nuc")
    assert gradient.layout is torch.sparse_csc
    received = gradient.to_dense().numpy()[ROWS, COLUMNS]
    np.testing.assert_allclose(received, normgrad.grad(_array(), "nuc")[ROWS, COLUMNS], atol=1e-13)


def test_torch_second_order_of_a_leaf():
    leaf = _torch(VALUES).coalesce().requires_grad_()
    value = normgrad.matrix_norm(leaf, "nuc")
    (G,) = torch.autograd.grad(value, leaf, create_graph=True)
    E = VALUES[::-1].copy()
    (received,) = torch.autograd.grad(G.coalesce().values() @ torch.tensor(E), leaf)
    expected = normgrad.hvp(_array(), _array(E), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(received.coalesce().values(), expected, atol=1e-12)


def test_torch_functions_of_values():
    """torch.func and forward mode go by the type Sparse."""
    E = torch.tensor(VALUES[::-1].copy())

    def norm(values):
        return normgrad.matrix_norm(normgrad.Sparse(values, (ROWS, COLUMNS), SHAPE), "nuc")

    x = torch.tensor(VALUES)
    received = torch.func.jvp(torch.func.grad(norm), (x,), (E,))[1]
    expected = normgrad.hvp(_array(), _array(E.numpy()), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(received, expected, atol=1e-12)
    both = torch.func.vmap(torch.func.grad(norm))(torch.stack([x, E]))
    expected = normgrad.grad(_array(E.numpy()), "nuc")[ROWS, COLUMNS]
    np.testing.assert_allclose(both[1], expected, atol=1e-12)


@pytest.mark.parametrize("kind", [jax_sparse.BCOO, jax_sparse.BCSR])
@pytest.mark.parametrize(("compiled", "ord"), [(False, 1), (True, 1), (True, 2)])
def test_jax(kind, compiled, ord):
    """Also where the indices are arguments of a compiled function."""
    x = _bcoo() if kind is jax_sparse.BCOO else jax_sparse.BCSR.from_bcoo(_bcoo())
    f = lambda x: normgrad.value_and_grad(x, ord)  # noqa: E731
    value, gradient = (jax.jit(f) if compiled else f)(x)
    expected, G = normgrad.value_and_grad(_array(), ord)
    assert isinstance(gradient, kind)
    assert float(value) == pytest.approx(float(expected), rel=1e-14, abs=1e-15)
    received = np.asarray(gradient.todense())
    np.testing.assert_allclose(received, G * (_array() != 0), atol=1e-13)


def test_jax_grad_of_sparse_arrays():
    x = _bcoo()
    norm = lambda x: normgrad.matrix_norm(x, "nuc")  # noqa: E731
    expected = normgrad.grad(_array(), "nuc")[ROWS, COLUMNS]
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

    x = _bcoo()
    expected = normgrad.hvp(_array(), _array(np.asarray(E)), ord)[ROWS, COLUMNS]
    along = lambda v: jax.jvp(lambda v: gradient(v, x.indices), (v,), (E,))[1]  # noqa: E731
    np.testing.assert_allclose(jax.jit(along)(x.data), expected, atol=1e-12)
    reverse = jax.grad(lambda v: jnp.vdot(jax.jit(gradient)(v, x.indices), E))(x.data)
    np.testing.assert_allclose(reverse, expected, atol=1e-12)

    @jax.jit
    def product(x, e):
        return normgrad.hvp(x, jax_sparse.BCOO((e, x.indices), shape=SHAPE), ord)

    np.testing.assert_allclose(product(x, E).data, expected, atol=1e-12)


def test_jax_vmap():
    x = _bcoo()
    values = jnp.stack([x.data, 2 * x.data, x.data[::-1]])

    def norm(v, indices):
        return normgrad.matrix_norm(jax_sparse.BCOO((v, indices), shape=SHAPE), np.inf)

    received = jax.jit(jax.vmap(jax.grad(norm), (0, None)))(values, x.indices)
    expected = [normgrad.grad(_array(np.asarray(v)), np.inf)[ROWS, COLUMNS] for v in values]
    np.testing.assert_allclose(received, expected, atol=1e-13)
    along = lambda v, i: jax.jvp(lambda v: jax.grad(norm)(v, i), (v,), (v,))[1]  # noqa: E731
    with pytest.raises(NotImplementedError, match="close over the indices"):
        jax.jit(jax.vmap(along, (0, None)))(values, x.indices)
    received = jax.jit(jax.vmap(lambda v: along(v, x.indices)))(values)
    np.testing.assert_allclose(received, np.zeros(values.shape), atol=1e-12)  # (of degree 0)


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
    dense = _array().round().astype(dtype)
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
    x = _torch(VALUES).to(torch.bfloat16).coalesce()
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
    expected = normgrad.matrix_norm(_array() + low[0] @ low[1], "nuc")
    a, b = map(torch.tensor, low)
    L = normgrad.LowRank(a, b)
    for A in (L + _torch(VALUES), normgrad.Sum(_torch(VALUES, "csr"), L)):
        assert float(normgrad.matrix_norm(A, "nuc")) == pytest.approx(float(expected))
    x, J = _bcoo(), normgrad.LowRank(*map(jnp.asarray, low))
    f = lambda x, J: normgrad.value_and_grad(J + x, "nuc")  # noqa: E731
    value, gradient = jax.jit(f)(x, J)
    assert float(value) == pytest.approx(float(expected))
    assert gradient.terms[1].given().shape == SHAPE


def test_products_need_no_scipy():
    """Those of the type Sparse in NumPy, and in batches."""
    rng = np.random.default_rng(0)
    V, U = rng.standard_normal((5, 3)), rng.standard_normal((6, 2))
    pattern = normgrad.Sparse(VALUES, (ROWS, COLUMNS), SHAPE).static
    np.testing.assert_allclose(pattern._gathered(VALUES, V), _array() @ V, atol=1e-14)
    back = pattern.transposed._gathered(VALUES, U)
    np.testing.assert_allclose(back, _array().T @ U, atol=1e-14)
    batch = np.stack([VALUES, 2 * VALUES])
    A = normgrad.Sparse(batch, (ROWS, COLUMNS), SHAPE)
    np.testing.assert_allclose(A @ V, np.stack([_array() @ V, 2 * _array() @ V]), atol=1e-14)
    value, gradient = normgrad.value_and_grad(A, "nuc")
    np.testing.assert_allclose(value, normgrad.matrix_norm(_array(), "nuc") * np.array([1, 2]))
    assert gradient.values.shape == batch.shape
    many = np.stack([V, -V])
    one = normgrad.Sparse(VALUES, (ROWS, COLUMNS), SHAPE)
    np.testing.assert_allclose(one @ many, _array() @ many, atol=1e-14)


# --- what is refused ---

REFUSED = [
    (lambda: normgrad.matrix_norm(scipy.sparse.coo_array(np.ones(3))), ValueError, "two axes"),
    (lambda: normgrad.matrix_norm(_torch(VALUES).to_dense().to_sparse(1)), ValueError, "dense"),
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
    (lambda: normgrad.matrix_norm(_scipy(), axis=(0, 1)), ValueError, "axes last"),
    (lambda: normgrad.hvp(_scipy(), scipy.sparse.eye_array(6, 5), 2), TypeError, "direction"),
    (
        lambda: normgrad.matrix_norm(_scipy().astype(np.longdouble)),
        TypeError,
        "longdouble|float128",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
