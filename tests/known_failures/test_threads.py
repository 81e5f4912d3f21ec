"""What users of other libraries suffer from, as they say in public: one test for each thread."""

import dataclasses
from collections.abc import Callable
from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import (
    BY,
    FOUR_U,
    FOUR_V,
    GRADIENT_TOLERANCE,
    PRODUCT_TOLERANCE,
    VALUE_TOLERANCE,
    Case,
    check,
    close,
    direction,
    every_engine,
    known,
    nuclear,
    nuclear_low_rank,
    spectral,
)

# --- public threads: zero ---

AT_ZERO = ("fro", "nuc", 2, 1, np.inf, normgrad.Schatten(3), normgrad.KyFan(2))


@pytest.mark.parametrize("norm", AT_ZERO, ids=str)
def test_pytorch_2421_and_tensorflow_12071_gradient_at_zero(norm):
    """pytorch#2421, tensorflow#12071: the gradient of the norm of zero is NaN."""
    x = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    normgrad.matrix_norm(x, norm).backward()
    assert torch.equal(x.grad, torch.zeros(3, 3, dtype=torch.float64))


def test_pytorch_65599_all_ways_to_the_frobenius_norm_agree_at_zero():
    """pytorch#65599: the gradient at zero is 0 or NaN, depending on how the norm is written."""
    norms = (
        lambda x: normgrad.matrix_norm(x),
        lambda x: normgrad.matrix_norm(x, "fro"),
        lambda x: normgrad.matrix_norm(x, normgrad.Frobenius()),
        lambda x: normgrad.matrix_norm(x, normgrad.Schatten(2)),
        normgrad.frobenius_norm,
        lambda x: normgrad.schatten_norm(x, 2),
    )
    for norm in norms:
        x = torch.zeros(3, 3, requires_grad=True)
        norm(x).backward()
        assert torch.equal(x.grad, torch.zeros(3, 3))


def test_functorch_1097_second_derivative_at_zero():
    """functorch#1097: the second derivative of the norm at zero is NaN."""
    zero = torch.zeros(2, 3, dtype=torch.float64)
    for norm in AT_ZERO:
        hessian = torch.func.hessian(lambda x, norm=norm: normgrad.matrix_norm(x, norm))(zero)
        assert torch.equal(hessian, torch.zeros(2, 3, 2, 3, dtype=torch.float64))


def test_jax_3058_6484_and_21723_gradient_at_zero():
    """jax#3058, jax#6484, jax#21723: the gradient of the norm, or of its square, is NaN at zero."""
    zero = jnp.zeros((3, 3))
    for f in (normgrad.matrix_norm, lambda x: normgrad.matrix_norm(x) ** 2):
        assert not np.any(jax.grad(f)(zero))
        assert not np.any(jax.jit(jax.grad(f))(zero))
    assert not np.any(jax.hessian(normgrad.matrix_norm)(zero))


def test_jax_26248_absolute_homogeneity():
    """jax#26248: d||a B|| / da is sign(a) ||B||, also for B = 0."""
    for B, expected in ((jnp.zeros((3, 3)), 0.0), (jnp.eye(3) * 2, 12**0.5)):
        for a in (1.3, -1.3):
            slope = jax.grad(lambda a, B=B: normgrad.matrix_norm(a * B))(a)
            assert close(slope, np.sign(a) * expected, 1e-15)


def test_autograd_151_and_586_gradient_at_zero():
    """autograd#151, autograd#586: the gradient of the norm, or of its square, is NaN at zero."""
    for f in (normgrad.matrix_norm, lambda x: normgrad.matrix_norm(x) ** 2):
        assert not np.any(autograd.grad(f)(np.zeros((3, 3))))


# --- public threads: overflow and accumulation ---


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


# --- public threads: ties ---


@every_engine
def test_jax_2311_and_tensorflow_17476_degenerate_singular_values(engine):
    """jax#2311, tensorflow#17476: the gradient through the SVD of ones(5, 5) is NaN."""
    ones, u = np.ones((5, 5)), np.full((5, 1), 5**-0.5)
    for norm in ("nuc", 2):
        case = known(norm, u, (5,), u, (1,), (0,))
        check(engine, dataclasses.replace(case, A=ones, gradient=ones / 5))


@every_engine
def test_pytorch_49886_several_zero_singular_values(engine):
    """pytorch#49886: the gradient of a function of the SVD of a rank 3 matrix 15 x 15 is NaN.

    The matrix has the singular values 3, 2, 1 times 5^(1/2): diagonal, its columns repeated.
    """
    U = np.eye(15)[:, 2::-1]
    V = np.repeat(np.eye(3), 5, axis=0)[:, ::-1] / 5**0.5
    case = known("nuc", U, 5**0.5 * np.array([3, 2, 1]), V, (1, 1, 1), (0, 1, 2))
    A = np.zeros((15, 15))
    for i in range(3):
        A[i, 5 * i : 5 * i + 5] = i + 1
    check(engine, dataclasses.replace(case, A=A))


NEAR_TIES = [0.0, 1e-15, 1e-12, 1e-8, 1e-4]


@pytest.mark.parametrize("gap", NEAR_TIES)
def test_pytorch_192521_second_order_near_ties_under_torch_func(gap):
    """pytorch#192521: under torch.func second derivatives near ties are silently wrong."""
    U, V = FOUR_U[:, :3], FOUR_V[:, :3]
    case = known("nuc", U, (1 + gap, 1, 1 - gap), V, (1, 1, 1), (0, 0, 0))
    x, e = torch.tensor(case.A), torch.tensor(case.E)

    def f(x: Any) -> Any:
        return normgrad.matrix_norm(x, "nuc")

    gradient = torch.func.grad(f)
    products = (
        torch.func.jvp(gradient, (x,), (e,))[1],
        torch.func.vjp(gradient, x)[1](e)[0],
        torch.func.grad(lambda x: torch.func.jvp(f, (x,), (e,))[1])(x),
        torch.tensordot(torch.func.hessian(f)(x), e),
        torch.tensordot(torch.func.jacrev(gradient)(x), e),
    )
    for product in products:
        assert close(product, case.product, PRODUCT_TOLERANCE)


# --- public threads: the Hessian of the sum of singular values at any scale ---

ISSUE_MATRIX = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])


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


# --- public threads: half precision ---

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


# --- public threads: NaN, and an SVD that does not converge ---


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("norm", ["nuc", 2, "fro", 1])
@every_engine
def test_pytorch_187759_nan_stays_and_stays_alone(engine, norm, bad):
    """pytorch#187759: the singular values of a matrix with NaN are finite."""
    A = np.stack([spectral().A, ISSUE_MATRIX, -ISSUE_MATRIX])
    A[1, 2, 0] = bad
    E = direction(A.shape)
    found = BY[engine](norm, A, E)
    np.testing.assert_equal(found.value[1], abs(bad))
    assert np.all(np.isnan(found.gradient[1]))
    assert np.all(np.isnan(found.product[1]))
    for i in (0, 2):
        alone = normgrad.value_and_grad(A[i], norm)
        assert close(found.value[i], alone[0], VALUE_TOLERANCE)
        assert close(found.gradient[i], alone[1], GRADIENT_TOLERANCE)
        assert close(found.product[i], normgrad.hvp(A[i], E[i], norm), PRODUCT_TOLERANCE)


@pytest.mark.parametrize("norm", ["nuc", 2])
@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("is_wide", [False, True])
def test_pytorch_181641_svd_that_does_not_converge(engine, norm, is_wide, monkeypatch):
    """pytorch#181641: LAPACK's divide and conquer may fail on a finite matrix."""
    slope, cluster = ((1, 1), (0, 0)) if norm == "nuc" else ((1, 0), (0, 1))
    V = np.eye(5)[:, :2]
    U = np.array([[1, 1, 1, 1, 0, 0], [1, -1, 0, 0, 1, 1]]).T / 2
    if is_wide:
        U, V = V, U
    case = known(norm, U, (3, 1), V, slope, cluster)
    failures = []

    def failing_once(svd: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def fails(*args: Any, **keywords: Any) -> Any:
            if not failures:
                failures.append(svd)
                raise error
            return svd(*args, **keywords)

        return fails

    if engine == "numpy":
        error: Exception = np.linalg.LinAlgError("SVD did not converge")
        monkeypatch.setattr(np.linalg, "svd", failing_once(np.linalg.svd, error))
        x, e = case.A, case.E
    else:
        import array_api_compat.torch.linalg as namespace

        error = torch.linalg.LinAlgError("linalg.svd: The algorithm failed to converge because ...")
        for name in ("svd", "svdvals"):
            monkeypatch.setattr(namespace, name, failing_once(getattr(namespace, name), error))
        # (a small tensor is left to NumPy)
        error = np.linalg.LinAlgError("SVD did not converge")
        monkeypatch.setattr(np.linalg, "svd", failing_once(np.linalg.svd, error))
        x, e = torch.tensor(case.A), torch.tensor(case.E)
    for answer, expected, tolerance in (
        (lambda: normgrad.matrix_norm(x, norm), case.value, VALUE_TOLERANCE),
        (lambda: normgrad.value_and_grad(x, norm)[0], case.value, VALUE_TOLERANCE),
        (lambda: normgrad.grad(x, norm), case.gradient, GRADIENT_TOLERANCE),
        (lambda: normgrad.hvp(x, e, norm), case.product, PRODUCT_TOLERANCE),
    ):
        failures.clear()
        assert close(answer(), expected, tolerance)
        assert len(failures) == 1


# --- public threads: others ---


@every_engine
@pytest.mark.parametrize("shape", [(10, 20), (20, 10)])
def test_cvxpy_2364_nuclear_subgradient_of_matrices_that_are_not_square(engine, shape, rng):
    """cvxpy#2364: the subgradient of the nuclear norm of a 10 x 20 matrix raises."""
    A, B = rng.standard_normal((2, *shape))
    value, G, _ = BY[engine]("nuc", A, B)
    s = np.linalg.svd(G, compute_uv=False)
    assert close(s, np.ones(10), GRADIENT_TOLERANCE)
    assert close(np.sum(G * A), value, VALUE_TOLERANCE)
    values = np.linalg.svd(A, compute_uv=False), np.linalg.svd(B, compute_uv=False)
    assert close(value, values[0].sum(), VALUE_TOLERANCE)
    assert values[1].sum() >= value + np.sum(G * (B - A))


@pytest.mark.parametrize("make", [spectral, lambda: nuclear((3, 3, 1)), nuclear_low_rank])
def test_pytorch_195731_svd_under_compile(make):
    """pytorch#195731: the SVD fails under torch.compile."""
    case = make()
    torch._dynamo.reset()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def value(x: Any) -> Any:
        return normgrad.matrix_norm(x, case.norm)

    x = torch.tensor(case.A, requires_grad=True)
    found = value(x)
    found.backward()
    assert close(found.detach(), case.value, VALUE_TOLERANCE)
    assert close(x.grad, case.gradient, GRADIENT_TOLERANCE)


@every_engine
def test_pytorch_36314_and_8049_spectral_norm_is_not_underestimated(engine):
    """pytorch#36314, pytorch#8049, haiku#71: power iteration stops below the spectral norm."""
    s = (1 + 2.0**-20, 1, 1 - 2.0**-20)
    check_value = BY[engine](2, spectral(s).A, direction((3, 3))).value
    assert close(check_value, 9 * s[0], VALUE_TOLERANCE)


def nuclear_of_two_columns(A: Any, E: Any) -> Case:
    """Return the case of an m x 2 matrix by its polar decomposition A = Q S, in long double.

    A 2 x 2 positive definite M has the root ``(M + d I) / (tr M + 2 d)^(1/2)``, d^2 = det M.
    A step E turns Q by ``Q W``, W skew with ``S W + W S = Q^T E - E^T Q``, so W is that over
    tr S; and out of its range by ``(E - Q Q^T E) S^-1``.
    """
    a, e = A.astype(np.longdouble), E.astype(np.longdouble)
    M = a.T @ a
    d = np.sqrt(M[0, 0] * M[1, 1] - M[0, 1] ** 2)
    value = np.sqrt(M[0, 0] + M[1, 1] + 2 * d)
    S = (M + d * np.eye(2)) / value
    inverse = np.array([[S[1, 1], -S[0, 1]], [-S[1, 0], S[0, 0]]]) / d
    Q = a @ inverse
    product = Q @ (Q.T @ e - e.T @ Q) / value + (e - Q @ (Q.T @ e)) @ inverse
    return Case("nuc", A, float(value), Q.astype(float), E, product.astype(float))


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
def test_pytorch_61949_and_jax_9755_tall_and_skinny(engine, is_wide, rng):
    """pytorch#61949, jax#9755: an m x m matrix is formed for an m x n one, m much greater than n.

    It would have 80 GB here.
    """
    case = nuclear_of_two_columns(*rng.standard_normal((2, 100_000, 2)))
    if is_wide:
        turned = {name: getattr(case, name).T for name in ("A", "gradient", "E", "product")}
        case = dataclasses.replace(case, **turned)
    check(engine, case)
