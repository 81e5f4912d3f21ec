"""What users of other libraries report in public, one test for each thread: range and precision."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import BY, ISSUE_MATRIX, close


@pytest.mark.parametrize("norm", ["fro", 2, "nuc"])
@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
def test_pytorch_193006_and_jax_39899_overflow_of_the_sum_of_squares(engine, norm):
    """pytorch#193006, jax#39899: in float32 the norm of (1e20, 1, 1) is inf, its gradient 0."""
    A = np.array([[1e20, 1.0, 1.0]], dtype=np.float32)
    found = BY[engine](norm, A, np.float32(1e20) * np.array([[0.0, 3.0, -4.0]], dtype=np.float32))
    assert found.value.dtype == found.gradient.dtype == found.product.dtype == np.float32
    assert close(found.value, A[0, 0], 2.0**-22)
    expected = np.array([[1.0, 1e-20, 1e-20]])
    assert np.all(np.abs(found.gradient - expected) <= 2.0**-22 * expected)
    assert close(found.product, np.array([[0.0, 3.0, -4.0]]), 2.0**-22)


def test_numpy_8775_overflow_in_the_precision_of_the_input():
    """numpy#8775: the norm of 1000 in float16 is inf, as is that of (1e200, 1e200)."""
    half = normgrad.matrix_norm(np.array([[1000.0]], dtype=np.float16))
    assert half.dtype == np.float16
    assert half == 1000
    for norm in ("fro", 2, "nuc"):
        assert close(normgrad.matrix_norm([[1e200, 1e200]], norm), 2**0.5 * 1e200, 1e-15)


@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
def test_pytorch_65815_norm_of_ten_thousand_squared_ones(engine):
    """pytorch#65815: the float32 norm of ones(10^4, 10^4) is 4096, for 10^4."""
    place = {"numpy": np.asarray, "torch": torch.from_numpy, "jax": jnp.asarray}[engine]
    ones = place(np.ones((10**4, 10**4), dtype=np.float32))
    assert float(normgrad.matrix_norm(ones)) == 1e4


@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(("norm", "shape"), [(1, (-1, 1)), (np.inf, (1, -1)), ("fro", (-1, 1))])
def test_pytorch_65815_long_sums_in_single_precision(engine, norm, shape):
    """pytorch#65815: a float32 sum of ones stops at 2^24 if it is taken term by term."""
    place = {"numpy": np.asarray, "torch": torch.from_numpy, "jax": jnp.asarray}[engine]
    count = 36_000_000
    ones = place(np.ones(count, dtype=np.float32).reshape(shape))
    expected = 6000.0 if norm == "fro" else float(count)
    assert float(normgrad.matrix_norm(ones, norm)) == expected


def hessian_at_positive_definite(P: Any) -> Any:
    """Return the Hessian of the nuclear norm at P: E -> W with ``P W + W P = E - E^T``."""
    eye = np.eye(len(P))
    sylvester = np.kron(P, eye) + np.kron(eye, P)
    skew = np.einsum("ik,jl->ijkl", eye, eye) - np.einsum("il,jk->ijkl", eye, eye)
    return np.linalg.solve(sylvester, skew.reshape(9, 9)).reshape(3, 3, 3, 3)


@pytest.mark.parametrize("engine", ["torch", "jax"])
@pytest.mark.parametrize(
    ("scale", "dtype", "tolerance"),
    [
        (1e-20, np.float32, 1e-5),
        (1e20, np.float32, 1e-5),
        (1e-200, np.float64, 1e-13),
        (1e200, np.float64, 1e-13),
    ],
)
def test_pytorch_194705_and_jax_40185_hessian_of_the_sum_of_singular_values(
    engine, scale, dtype, tolerance
):
    """pytorch#194705, jax#40185: at 1e-20 in float32 it is NaN, and should be up to 2.07e19."""
    A = (ISSUE_MATRIX * scale).astype(dtype)
    if engine == "torch":
        hessian = torch.func.hessian(normgrad.nuclear_norm)(torch.tensor(A)).numpy()
    else:
        hessian = np.asarray(jax.hessian(normgrad.nuclear_norm)(jnp.asarray(A)))
    assert hessian.dtype == dtype
    expected = hessian_at_positive_definite(ISSUE_MATRIX)
    hessian = hessian.astype(float).reshape(9, 9)
    assert close(hessian * scale, expected.reshape(9, 9), tolerance)
    if scale == 1e-20:
        assert abs(np.max(np.abs(hessian)) / 2.0707e19 - 1) <= 1e-4


HALF_INPUT = np.array([[1.5, -2.0, 0.25], [0.5, 3.0, 1.0], [-1.0, 0.75, 2.5]])


def _within_half_an_ulp(actual: Any, exact: Any, bits: int) -> bool:
    """Whether numbers are exact ones rounded to `bits` bits, but for an error in float32 before."""
    ulp = 2.0 ** (np.floor(np.log2(np.abs(exact))) + 1 - bits)
    return bool(np.all(np.abs(actual - exact) <= 0.5 * ulp + 2.0**-20 * np.max(np.abs(exact))))


@pytest.mark.parametrize("norm", ["fro", "nuc", 2, 1, np.inf])
@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        (np.dtype("float16"), 11),
        (torch.float16, 11),
        (torch.bfloat16, 8),
        (jnp.float16, 11),
        (jnp.bfloat16, 8),
    ],
    ids=["numpy-float16", "torch-float16", "torch-bfloat16", "jax-float16", "jax-bfloat16"],
)
def test_pytorch_98308_and_jax_30176_half_precision(norm, dtype, bits):
    """pytorch#98308, jax#30176: the SVD is not implemented for half and bfloat16."""
    if isinstance(dtype, np.dtype):
        value, gradient = normgrad.value_and_grad(HALF_INPUT.astype(dtype), norm)
        assert value.dtype == gradient.dtype == dtype
    elif isinstance(dtype, torch.dtype):
        x = torch.tensor(HALF_INPUT, dtype=dtype, requires_grad=True)
        value = normgrad.matrix_norm(x, norm)
        (gradient,) = torch.autograd.grad(value, x)
        assert value.dtype == gradient.dtype == dtype
        value, gradient = value.detach().double().numpy(), gradient.double().numpy()
    else:
        x = jnp.asarray(HALF_INPUT, dtype=dtype)
        value, gradient = jax.value_and_grad(lambda x: normgrad.matrix_norm(x, norm))(x)
        assert value.dtype == gradient.dtype == dtype
    U, s, Vh = np.linalg.svd(HALF_INPUT)
    exact_value = np.linalg.norm(HALF_INPUT, norm)
    assert _within_half_an_ulp(np.float64(value), exact_value, bits)
    if norm in (1, np.inf):
        sums = np.abs(HALF_INPUT).sum(axis=0 if norm == 1 else 1, keepdims=True)
        exact = np.sign(HALF_INPUT) * (sums == exact_value)
    else:
        slope = {"fro": s / exact_value, "nuc": np.ones(3), 2: np.array([1, 0, 0])}[norm]
        exact = (U * slope) @ Vh
    found = np.asarray(gradient, dtype=np.float64)
    np.testing.assert_array_equal(found[exact == 0], 0)
    assert _within_half_an_ulp(found[exact != 0], exact[exact != 0], bits)
