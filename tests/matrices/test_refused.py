"""What matrix types refuse says what was got, and what to do; what they must take."""

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
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
