"""What matrix types refuse says what was got, and what to do; what they must take."""

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
import torch

import normgrad
from normgrad.arithmetic.transforms import TRANSFORMS
from normgrad.engines.base import OrderError
from normgrad.testing import check_grad


@pytest.mark.parametrize("shape", [5, (5,), (2.5, 3), None], ids=str)
def test_the_shape_of_a_sparse(shape: Any) -> None:
    with pytest.raises(TypeError, match=r"pair of integers, \(rows, columns\); got"):
        normgrad.Sparse([1.0], ([0], [0]), shape)


def test_the_indices_of_a_sparse() -> None:
    with pytest.raises(TypeError, match=r"pair, \(rows, columns\).*got 5"):
        normgrad.Sparse([1.0], 5, (2, 2))


OPERATOR = normgrad.Operator(lambda v: 2 * v, (2, 2), dtype="float64")
KRONECKER = normgrad.Kronecker(np.eye(2), np.ones((2, 3)))


@pytest.mark.parametrize("A", [OPERATOR, KRONECKER], ids=["Operator", "Kronecker"])
@pytest.mark.parametrize(
    "f",
    [
        lambda A: normgrad.prox(A, 1.0, 2),
        lambda A: normgrad.project(A, 1.0, 2),
        lambda A: normgrad.lmo(A, 1.0, 2),
        normgrad.polar,
    ],
    ids=["prox", "project", "lmo", "polar"],
)
def test_types_without_a_map(A: Any, f: Any) -> None:
    with pytest.raises(TypeError, match=rf" {type(A).__name__} .*Diagonal.*LowRank.*x\.dense\(\)"):
        f(A)


class Tagged(torch.Tensor):
    """A subclass of another package."""


def test_subclasses_of_tensors_are_of_one_library() -> None:
    left, right = torch.ones(2, 1), torch.ones(1, 2)
    A = normgrad.LowRank(left.as_subclass(Tagged), right)
    assert A.shape == (2, 2)
    with pytest.raises(TypeError, match="one library; got arrays of jax and torch"):
        normgrad.LowRank(left, jnp.ones((1, 2)))


@pytest.mark.parametrize("other", [torch.ones(3, 2), jnp.ones((3, 2))], ids=["torch", "jax"])
@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
def test_products_are_of_one_library(library: Any, other: Any) -> None:
    """NumPy's arrays are taken into the others; PyTorch takes none in return."""
    x = library(np.full((3, 3), 2.0, "float32"))
    for A in (normgrad.Hermitian(x), normgrad.Operator(lambda v, p: p @ v, (3, 3), (x,))):
        assert type(A @ np.ones((3, 2))) is type(A @ x)
        if type(x) is type(other) or (library is np.asarray and not torch.is_tensor(other)):
            np.testing.assert_array_equal(np.asarray(A @ other), np.full((3, 2), 6.0))
        else:
            with pytest.raises(TypeError, match="one library"):
                A @ other


def test_products_with_sparse_arrays() -> None:
    A = normgrad.LowRank(np.ones((3, 1)), np.ones((1, 3)))
    np.testing.assert_array_equal(A @ scipy.sparse.eye_array(3), np.ones((3, 3)))


def test_integers_stay_integers() -> None:
    assert normgrad.Diagonal([1, 2]).diagonal.dtype.kind == "i"


@pytest.mark.parametrize("error", [OrderError(), ValueError("own"), RuntimeError("own")], ids=repr)
def test_errors_of_functions_that_are_mapped_pass(error: Exception) -> None:
    calls = []

    def f(v: Any) -> Any:
        calls.append(v)
        raise error

    with pytest.raises(type(error)):
        TRANSFORMS["torch"].vmap(f, (0,))(torch.ones(2, 3))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "f",
    [
        lambda v: v * v[0].item(),
        lambda v: v if v[0] > 0 else -v,
        lambda v: torch.from_numpy(v.numpy() * 2),
        lambda v: torch.zeros(3).add_(v),
        lambda v: v * v[v > 0].sum(),
        lambda v: torch.mul(v, 2, out=torch.empty(3)),
        lambda v: v * len(v.untyped_storage()),
    ],
)
def test_functions_that_cannot_be_mapped(f: Any) -> None:
    x = torch.tensor([[1.0, 2.0, -3.0], [-1.0, 5.0, 4.0]])
    mapped = TRANSFORMS["torch"].vmap(f, (0,))(x)
    np.testing.assert_array_equal(mapped, torch.stack([f(row) for row in x.clone()]))


def test_advice_for_matrix_types() -> None:
    A = normgrad.LowRank(np.ones((3, 1)), np.ones((1, 3)))
    S, other = (scipy.sparse.csr_array(np.eye(3, k=k)) for k in (0, 1))
    for call in (
        lambda: np.asarray(A),
        lambda: check_grad(A),
        lambda: normgrad.subgradient_distance(A, A, 2),
    ):
        with pytest.raises(TypeError, match=r"x\.dense\(\)"):
            call()
    with pytest.raises(TypeError, match="pattern"):
        normgrad.hvp(S, other, "nuc")
    with pytest.raises(TypeError, match=r"x\.toarray\(\)"):
        normgrad.subgradient_distance(S, S, 2)
    with pytest.raises(ValueError, match="'iteration'"):
        normgrad.polar(np.eye(3), "iterate")


@pytest.mark.parametrize(
    "A",
    [
        normgrad.Diagonal(np.ones(2), (2, 3)),
        normgrad.BlockDiagonal([np.ones((1, 2)), np.ones((1, 1))]),
        normgrad.Convolution1d(np.ones((1, 1, 2)), 3),
        normgrad.Kronecker(np.ones((2, 1)), np.ones((1, 3))),
        normgrad.LowRank(torch.ones(2, 1), torch.ones(1, 3)),
    ],
    ids=lambda A: type(A).__name__,
)
@pytest.mark.parametrize("shape", [(), (1,), (2,), (7,), (2, 3), (3, 2, 3)], ids=str)
def test_vectors_of_another_length(A: Any, shape: Any) -> None:
    v = np.ones(shape)
    with pytest.raises(
        ValueError, match=rf"takes a vector \(3,\).*got shape {re.escape(str(shape))}"
    ):
        A @ (torch.from_numpy(v) if isinstance(A.model, torch.Tensor) else v)


D = normgrad.Diagonal(np.ones(2))
TENSOR = torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: D / "a", TypeError, "divided by one; got 'a'"),
        (lambda: D * None, TypeError, "by a number.*got None"),
        (lambda: D * {}, TypeError, "by a number.*got {}"),
        (lambda: D * np.array("a"), TypeError, "by a number.*dtype <U1"),
        (lambda: normgrad.Sparse([], ([], []), (-3, 3)), ValueError, r"negative; got \(-3, 3\)"),
        (lambda: normgrad.Operator(lambda v: v, (3.7, 3)), TypeError, r"integers.*got \(3.7, 3\)"),
        (lambda: normgrad.Operator(lambda v: v, (3, -3)), ValueError, "must not be negative"),
        (
            lambda: normgrad.Hermitian([[np.nan, 2], [5, 1.0]], check=True),
            ValueError,
            "not Hermitian.*nan",
        ),
        (lambda: normgrad.PSD(np.diag([1.0, np.inf]), check=True), ValueError, "not Hermitian"),
        (lambda: normgrad.PSD([[1, 2], [2, 1]], check=True), ValueError, "eigenvalue -1"),
        (lambda: normgrad.Hermitian([["a"]], check=True), TypeError, "real or complex.*got dtype"),
        (
            lambda: normgrad.singular_value_threshold(D, 1.0),
            TypeError,
            r"got a Diagonal: prox\(x, step, 'nuc'\)",
        ),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(2, dtype=int),
        np.eye(2, dtype=bool),
        np.eye(2, dtype="float16"),
        np.zeros((0, 0)),
        np.zeros((3, 0, 0)),
        torch.eye(2, dtype=torch.bfloat16),
        torch.eye(2, dtype=torch.int64),
        jnp.eye(2, dtype="bfloat16"),
    ],
    ids=lambda x: f"{x.dtype} {tuple(x.shape)}",
)
def test_checks_of_any_dtype(matrix: Any) -> None:
    for kind in (normgrad.Hermitian, normgrad.PSD):
        assert kind(matrix, check=True).matrix is matrix


def test_rounding_of_half_precision_passes_the_check() -> None:
    v = np.array([1.0, 0.3, 0.7])
    normgrad.PSD(np.outer(v, v).astype("float16"), check=True)


@pytest.mark.parametrize("kind", [normgrad.LowRank, normgrad.Kronecker], ids=lambda k: k.__name__)
@pytest.mark.parametrize("other", [TENSOR.numpy(), TENSOR.float(), 1j * TENSOR], ids=str)
def test_factors_of_several_dtypes(kind: Any, other: Any) -> None:
    """PyTorch promotes in sums, and not in products."""
    first, second = torch.arange(9.0, dtype=torch.float64).reshape(3, 3) - 3, torch.as_tensor(other)
    A, B = kind(first, other), kind(other, first)
    for C, pair in ((A, (first, second)), (B, (second, first)), (1j * A, (1j * first, second))):
        x, y = (p.to(torch.complex128).numpy() for p in pair)
        dense = x @ y if kind is normgrad.LowRank else np.kron(x, y)
        v = torch.ones(dense.shape[1])
        np.testing.assert_allclose(C.dense().numpy(), dense, atol=1e-12)
        np.testing.assert_allclose((C @ v).numpy(), dense @ v.numpy(), atol=1e-12)
        np.testing.assert_allclose(C.T.dense().numpy(), dense.T, atol=1e-12)


def test_axes_that_are_the_last() -> None:
    S = scipy.sparse.csr_array(np.diag([3.0, 4.0]))
    for axis in ((0, 1), (-2, 1), (0, -1)):
        assert normgrad.matrix_norm(S, axis=axis) == normgrad.matrix_norm(S)
    batch = normgrad.Diagonal(np.ones((4, 2)))
    assert normgrad.matrix_norm(batch, axis=(1, 2)).shape == (4,)
    assert normgrad.prox(D, 0.5, "nuc", axis=(0, 1)).diagonal.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("f", [normgrad.prox, normgrad.project, normgrad.lmo])
@pytest.mark.parametrize("m", [0, 2])
def test_maps_of_empty_factors(f: Any, m: int) -> None:
    A = normgrad.LowRank(np.zeros((m, 1)), np.zeros((1, 0)))
    assert f(A, 1.0, "nuc").dense().shape == (m, 0)


@pytest.mark.parametrize(
    ("norm", "diagonal"),
    [
        (normgrad.Nuclear(rank_tol=1e-3), [1.0, 1e-2]),
        (normgrad.Spectral(tie_tol=0.1), [1.0, 0.92]),
        (normgrad.Schatten(3, rank_tol=1e-3), [1.0, 1e-2]),
    ],
    ids=str,
)
def test_tolerances_of_a_kronecker_product(norm: Any, diagonal: Any) -> None:
    A = normgrad.Kronecker(np.diag(diagonal), np.diag(diagonal))
    value, G = normgrad.value_and_grad(A, norm)
    expected, H = normgrad.value_and_grad(A.dense(), norm)
    assert float(value) == pytest.approx(float(expected), rel=1e-14)
    for received, wanted in zip(G.parameters, A.pull_dense(H), strict=True):
        np.testing.assert_allclose(received, wanted, atol=1e-13)


W = np.random.default_rng(0).standard_normal((300, 250))
PRODUCTS = {
    "twice": (lambda v: W @ v, lambda u: 2 * W.T @ u),
    "rolled": (lambda v: W @ v, lambda u: np.roll(W.T @ u, 1)),
    "not linear": (lambda v: W @ v + abs(v).sum(), lambda u: W.T @ u),
    "no adjoint": (lambda v: W @ v, lambda u: 0 * (W.T @ u)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_that_are_not_adjoint(name: str) -> None:
    forth, back = PRODUCTS[name]
    for A in (
        normgrad.Operator(forth, W.shape, rmatvec=back),
        normgrad.Operator(back, W.T.shape, rmatvec=forth),
        scipy.sparse.linalg.LinearOperator(W.shape, matvec=forth, rmatvec=back, dtype=float),
    ):
        with pytest.raises(ValueError, match=r"do not fit together.*check_adjoint"):
            normgrad.matrix_norm(A, 2)
    with pytest.raises(ValueError, match="do not fit together"):
        normgrad.value_and_grad(normgrad.Operator(forth, W.shape, rmatvec=back), normgrad.KyFan(2))


def test_a_product_that_is_not_linear_and_is_transposed() -> None:
    A = normgrad.Operator(lambda v, p: abs(v) * p, (300, 300), (torch.ones(300),))
    with pytest.raises(ValueError, match=r"A\^H A v is 0.*must be linear"):
        normgrad.matrix_norm(A, 2)


def test_products_of_some_error_are_taken() -> None:
    """As those of iterative solvers."""
    noise = 1e-5 * np.random.default_rng(1).standard_normal(W.shape)
    A = normgrad.Operator(lambda v: W @ v, W.shape, rmatvec=lambda u: (W + noise).T @ u)
    assert float(normgrad.matrix_norm(A, 2)) == pytest.approx(np.linalg.norm(W, 2), rel=1e-4)


def test_large_products_that_are_not_adjoint() -> None:
    """Where each entry of a singular vector is small."""
    a = np.linspace(1, 2, 10**5)
    A = normgrad.Operator(lambda v: a * (a @ v), (10**5,) * 2, rmatvec=lambda u: 2 * a * (a @ u))
    with pytest.raises(ValueError, match="times the other"):
        normgrad.matrix_norm(A, 2)
