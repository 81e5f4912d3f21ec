"""PyTorch's own samples of its matrix norms (its OpInfo), given to this library.

The samples are random, so that their singular values are distinct and not zero: there
PyTorch's values and gradients are right, and are the reference, taken in double precision.
"""

from typing import Any, NamedTuple

import pytest
import torch

pytest.importorskip("expecttest")

from torch.testing._internal.opinfo.definitions.linalg import op_db

import normgrad

OPS = {(op.name, op.variant_test_name): op for op in op_db}
MATRIX_NORM = OPS["linalg.matrix_norm", ""]
NORM = OPS["linalg.norm", ""]
AT_ZERO = OPS["linalg.norm", "subgradients_at_zero"]

ORDS = ("fro", "nuc", float("inf"), float("-inf"), 1, -1, 2, -2)
FULL = (torch.float32, torch.float64, torch.complex64, torch.complex128)
HALF = (torch.float16, torch.bfloat16)  # PyTorch has no singular values there
CASES = [(dtype, ord) for dtype in FULL for ord in ORDS]
CASES += [(dtype, ord) for dtype in HALF for ord in ORDS if ord not in ("nuc", 2, -2)]
DOUBLE = [(dtype, ord) for dtype, ord in CASES if dtype in (torch.float64, torch.complex128)]


def name(parameter: Any) -> str:
    """Return what to call a parameter in the name of a test."""
    return str(parameter).removeprefix("torch.")


class Sample(NamedTuple):
    """A sample with PyTorch's arguments given their names."""

    x: Any
    ord: Any = "fro"
    dim: tuple[int, int] = (-2, -1)
    keepdim: bool = False


def samples(op: Any, dtype: torch.dtype, **keywords: Any) -> list[Sample]:
    """Return those samples that are of matrix norms."""
    torch.manual_seed(0)
    found = []
    for sample in op.sample_inputs("cpu", dtype, **keywords):
        given = dict(zip(("ord", "dim", "keepdim"), sample.args, strict=False)) | sample.kwargs
        # linalg.norm takes vectors, and without an ord an array of any shape for one
        if sample.input.ndim == 2 or given.get("dim") is not None:
            given["ord"] = "fro" if given.get("ord") is None else given["ord"]
            found.append(Sample(sample.input, **given))
    return found


def samples_of(dtype: torch.dtype, ord: Any) -> list[Sample]:
    return [sample for sample in samples(MATRIX_NORM, dtype) if sample.ord == ord]


def ours(sample: Sample, x: Any) -> Any:
    """Return the norm by this library, which calls dim and keepdim as NumPy does."""
    return normgrad.matrix_norm(x, sample.ord, axis=sample.dim, keepdims=sample.keepdim)


def theirs(sample: Sample, x: Any) -> Any:
    return torch.linalg.matrix_norm(x, sample.ord, sample.dim, sample.keepdim)


def exact(x: Any) -> Any:
    """Return the same numbers in double precision."""
    return x.detach().to(torch.complex128 if x.is_complex() else torch.float64)


def epsilon(x: Any) -> float:
    return torch.finfo(x.dtype).eps


def matrices(sample: Sample) -> Any:
    return torch.movedim(exact(sample.x), sample.dim, (-2, -1))


def test_the_samples_are_all_there():
    assert MATRIX_NORM.dtypes == {*FULL, *HALF}
    for dtype in MATRIX_NORM.dtypes:
        given = len(list(MATRIX_NORM.sample_inputs("cpu", dtype)))
        used = sum(len(samples_of(dtype, ord)) for d, ord in CASES if d == dtype)
        assert used == given == (40 if dtype in HALF else 64)
    assert MATRIX_NORM.error_inputs_func is None


@pytest.mark.parametrize(("dtype", "ord"), CASES, ids=name)
def test_value_and_gradient_are_those_of_torch(dtype, ord):
    for sample in samples_of(dtype, ord):
        reference = exact(sample.x).requires_grad_()
        expected = theirs(sample, reference)
        s = torch.linalg.svdvals(matrices(sample))
        x = sample.x.detach().requires_grad_()
        value = ours(sample, x)
        assert value.shape == expected.shape
        assert value.dtype == dtype.to_real()
        # rounding of the result, and of a computation that has singular values good to eps s_1
        eps, working = epsilon(x), min(epsilon(x), torch.finfo(torch.float32).eps)
        error = (exact(value) - expected.detach()).abs().flatten()
        assert torch.all(error <= 0.5 * eps * expected.detach().flatten() + 8 * working * s[..., 0])

        (gradient,) = torch.autograd.grad(value.sum(), x)
        (right,) = torch.autograd.grad(expected.sum(), reference)
        assert gradient.shape == x.shape
        assert gradient.dtype == dtype
        # singular vectors are good to eps s_1 / (distance to the next singular value, or to 0)
        gap, last = s[..., 0] - s[..., 1], s[..., 1]
        distance = {"nuc": last, 2: gap, -2: torch.minimum(gap, last)}.get(ord, s[..., 0])
        condition = (s[..., 0] / distance).max()
        tolerance = 0.5 * eps + 16 * working * condition
        assert torch.all((exact(gradient) - right).abs() <= tolerance)


@pytest.mark.parametrize(("dtype", "ord"), DOUBLE, ids=name)
def test_gradcheck(dtype, ord):
    """All modes: reverse, forward, both batched."""
    for sample in samples_of(dtype, ord):
        x = sample.x.detach().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, sample=sample: ours(sample, x),
            (x,),
            check_forward_ad=True,
            check_batched_grad=True,
            check_batched_forward_grad=True,
        )


@pytest.mark.parametrize(("dtype", "ord"), DOUBLE, ids=name)
def test_gradgradcheck(dtype, ord):
    """Reverse over reverse, and forward over reverse, batched."""
    for sample in samples_of(dtype, ord):
        x = sample.x.detach().requires_grad_()
        assert torch.autograd.gradgradcheck(
            lambda x, sample=sample: ours(sample, x),
            (x,),
            check_fwd_over_rev=True,
            check_rev_over_rev=True,
            check_batched_grad=True,
        )


@pytest.mark.parametrize("dtype", FULL, ids=name)
def test_matrix_samples_of_linalg_norm_with_empty_ones(dtype):
    """linalg.norm has samples 5 x 5, 0 x 0, 5 x 0 and 0 x 5, with and without dim."""
    shapes = set()
    for sample in samples(NORM, dtype):
        shapes.add(tuple(sample.x.shape))
        x = sample.x.detach().requires_grad_()
        value = ours(sample, x)
        expected = theirs(sample, exact(sample.x))
        assert value.shape == expected.shape
        scale = float(torch.linalg.vector_norm(exact(sample.x)))
        assert torch.all((exact(value) - expected).abs() <= 8 * epsilon(x) * scale)
        value.sum().backward()
        assert x.grad.shape == x.shape
        assert x.grad.dtype == dtype
    assert shapes == {(5, 5), (0, 0), (5, 0), (0, 5)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name)
def test_samples_of_subgradients_at_zero(dtype):
    """PyTorch holds that these are subgradients; here they are the least one, zero."""
    found = samples(AT_ZERO, dtype, requires_grad=True)
    assert {sample.ord for sample in found} == set(ORDS)
    for sample in found:
        x = torch.zeros_like(sample.x).requires_grad_()
        ours(sample, x).sum().backward()
        assert torch.equal(x.grad, torch.zeros_like(x))


ERRORS: dict[str, tuple[Any, Any, Any]] = {
    # MATRIX_NORM has no error inputs; these are what PyTorch's tests say must raise
    "vector": (torch.ones(3), "fro", (-2, -1)),
    "number": (torch.tensor(1.0), "fro", (-2, -1)),
    "unknown name": (torch.ones(2, 2), "bad", (-2, -1)),
    "ord 0": (torch.ones(2, 2), 0, (-2, -1)),
    "ord 3": (torch.ones(2, 2), 3, (-2, -1)),
    "ord -0.5": (torch.ones(2, 2), -0.5, (-2, -1)),
    "equal axes": (torch.ones(2, 2), "fro", (1, 1)),
    "equal axes, one negative": (torch.ones(2, 2), "nuc", (1, -1)),
    "one axis": (torch.ones(2, 2), "fro", (0,)),
    "three axes": (torch.ones(2, 2, 2), "fro", (0, 1, 2)),
    "axis out of range": (torch.ones(2, 2), 2, (0, 2)),
    "number for axes": (torch.ones(2, 2), 2, 0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_torch_refuses_is_refused(name):
    x, ord, dim = ERRORS[name]
    with pytest.raises((RuntimeError, IndexError, TypeError)):
        torch.linalg.matrix_norm(x, ord, dim)
    with pytest.raises((ValueError, TypeError, IndexError)):
        normgrad.matrix_norm(x, ord, axis=dim)
