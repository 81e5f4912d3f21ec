"""Convolutions: the operator is that of PyTorch's layers, and its norms are those of the array."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.calculus.structures import blocks

PADDINGS = ["circular", "zeros"]


def normal(rng: Any, *shape: int, is_complex: bool = False) -> Any:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def of_layer(kernel: Any, grid: tuple[int, ...], padding: str) -> Any:
    """Return the matrix of PyTorch's layer, from what it does to unit vectors."""
    d, kernel = len(grid), torch.as_tensor(kernel)
    c_out, c_in, *taps = kernel.shape
    make = (torch.nn.Conv1d, torch.nn.Conv2d)[d - 1]
    layer = make(c_in, c_out, taps, padding="same", padding_mode=padding, bias=False)
    layer.weight = torch.nn.Parameter(kernel)
    n = c_in * int(np.prod(grid))
    units = torch.eye(n, dtype=kernel.dtype).reshape(n, c_in, *grid)
    return layer(units).detach().reshape(n, -1).T.numpy()


def make(kernel: Any, grid: tuple[int, ...], padding: str = "circular") -> Any:
    if len(grid) == 1:
        return normgrad.Convolution1d(kernel, grid[0], padding)
    return normgrad.Convolution2d(kernel, grid, padding)


GEOMETRIES = [
    ((5, 4), (3, 3)),
    ((4, 6), (2, 4)),
    ((5, 5), (1, 1)),
    ((6, 4), (1, 5)),
    ((5, 3), (3, 1)),
    ((3, 4), (4, 5)),
    ((1, 4), (1, 3)),
    ((7,), (3,)),
    ((6,), (4,)),
    ((3,), (4,)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("grid", "taps"), GEOMETRIES)
def test_it_is_the_layer_of_pytorch(
    grid: tuple[int, ...], taps: tuple[int, ...], padding: str, is_complex: bool, rng: Any
) -> None:
    """Odd, even and large kernels: the array, products, the adjoint, the norms and gradients."""
    kernel = normal(rng, 3, 2, *taps, is_complex=is_complex)
    A, expected = make(kernel, grid, padding), of_layer(kernel, grid, padding)
    assert A.shape == expected.shape
    np.testing.assert_allclose(A.dense(), expected, atol=1e-13)
    V, U = normal(rng, A.shape[1], 3), normal(rng, A.shape[0], 2, is_complex=True)
    np.testing.assert_allclose(A @ V, expected @ V, atol=1e-13)
    np.testing.assert_allclose(A @ V[:, 0], expected @ V[:, 0], atol=1e-13)
    np.testing.assert_allclose(A.rmatmat(U), expected.conj().T @ U, atol=1e-13)
    np.testing.assert_allclose(A.T.dense(), expected.T, atol=1e-13)
    for ord in ("fro", "nuc", 2, normgrad.KyFan(3), normgrad.Schatten(3)):
        value, gradient = normgrad.value_and_grad(A, ord)
        exact, G = normgrad.value_and_grad(expected, ord)
        assert float(value) == pytest.approx(float(exact), rel=1e-13)
        # <G, A'> for every unit kernel
        units = np.eye(kernel.size).reshape(-1, *kernel.shape)
        along = [np.vdot(of_layer(unit + 0 * kernel, grid, padding), G) for unit in units[::3]]
        along = along if is_complex else np.real(along)
        np.testing.assert_allclose(gradient.kernel.reshape(-1)[::3], along, atol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_batches(library: str, padding: str, rng: Any) -> None:
    """Every kernel of a batch is by itself; the blocks that matter are not the same in all."""
    kernels = normal(rng, 3, 2, 2, 3, 3)
    kernels[1] = 0
    kernels[2, :, :, 0] *= -5
    library_array = {"numpy": np.asarray, "torch": torch.tensor, "jax": jnp.asarray}[library]
    # (for the engine that compiles each of them: one)
    for ord in (2,) if library == "jax" else (2, "nuc", "fro", normgrad.KyFan(2)):
        A = make(library_array(kernels), (5, 4), padding)
        value, gradient = normgrad.value_and_grad(A, ord)
        E = normal(rng, *kernels.shape)
        product = normgrad.hvp(A, A.replace((library_array(E),)), ord)
        for i in range(3):
            A = make(kernels[i], (5, 4), padding)
            one, G = normgrad.value_and_grad(A, ord)
            assert float(value[i]) == pytest.approx(float(one), rel=1e-13)
            np.testing.assert_allclose(gradient.kernel[i], G.kernel, atol=1e-13)
            exact = normgrad.hvp(A, A.replace((E[i],)), ord)
            np.testing.assert_allclose(product.kernel[i], exact.kernel, atol=1e-11)


@pytest.mark.parametrize("ord", [2, normgrad.KyFan(3)], ids=str)
@pytest.mark.parametrize("complex_kernel", [False, True])
def test_only_blocks_with_leading_values_are_factorized(
    ord: Any, complex_kernel: bool, rng: Any, monkeypatch: Any
) -> None:
    """A few of many, with all ties: the gradient is that of the array."""
    seen = []
    factorized = blocks.factorized

    def spy(B: Any, tol: Any) -> Any:
        seen.append(B.shape[-3])
        return factorized(B, tol)

    monkeypatch.setattr(blocks, "factorized", spy)
    A = make(normal(rng, 3, 3, 3, 2, is_complex=complex_kernel), (8, 6))
    value, gradient = normgrad.value_and_grad(A, ord)
    assert 0 < sum(seen) <= 6
    exact, G = normgrad.value_and_grad(A.dense(), ord)
    assert float(value) == pytest.approx(float(exact), rel=1e-14)
    np.testing.assert_allclose(gradient.kernel, A.pull_dense(G)[0], atol=1e-13)


@pytest.mark.parametrize("taps", [(1, 3), (4, 1), (1, 1)])
@pytest.mark.parametrize("ord", [2, normgrad.KyFan(3), normgrad.KyFan(13)], ids=str)
def test_an_axis_with_one_tap_ties_all_singular_values(taps: Any, ord: Any, rng: Any) -> None:
    """Also where there are too many to be found by products, or to form the array."""
    kernel = normal(rng, 3, 2, *taps)
    A = make(kernel, (12, 10), "zeros")
    value, gradient = normgrad.value_and_grad(A, ord)
    exact, G = normgrad.value_and_grad(A.dense(), ord)
    assert float(value) == pytest.approx(float(exact), rel=1e-12)
    assert float(normgrad.matrix_norm(A, ord)) == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(gradient.kernel, A.pull_dense(G)[0], atol=1e-10)
    large = make(kernel, (300, 200), "zeros")
    assert float(value) <= float(normgrad.matrix_norm(large, ord)) * (1 + 1e-12)
    assert normgrad.explain(large, ord).factorization in ("lanczos", "blocks")


def test_all_blocks_are_tied(rng: Any) -> None:
    """An orthogonal convolution: one tap, which is an orthogonal matrix."""
    Q = np.linalg.qr(normal(rng, 3, 3))[0]
    kernel = np.zeros((3, 3, 3, 3))
    kernel[:, :, 0, 1] = Q
    A = make(2 * kernel, (4, 5))
    value, gradient = normgrad.value_and_grad(A, 2)
    # G = A / (||A|| n), and each tap is used at 20 points
    assert float(value) == pytest.approx(2, rel=1e-14)
    np.testing.assert_allclose(gradient.kernel, kernel / 3, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_products_with_vectors(library: Any, dtype: Any, rng: Any) -> None:
    """Zeros around a large grid: the spectral and Ky Fan norms never form the array."""
    kernel = normal(rng, 2, 3, 3, 4, is_complex=dtype is np.complex128).astype(dtype)
    A = make(library(kernel), (16, 13), "zeros")
    assert "lanczos" in str(normgrad.explain(A, 2))
    exact = make(kernel.astype(np.result_type(dtype, np.float64)), (16, 13), "zeros").dense()
    tol = 1e-4 if dtype is np.float32 else 1e-11
    for ord in (2, normgrad.KyFan(4)):
        value, gradient = normgrad.value_and_grad(A, ord)
        expected, G = normgrad.value_and_grad(exact, ord)
        assert float(value) == pytest.approx(float(expected), rel=tol / 10)
        assert np.asarray(gradient.kernel).dtype == dtype
        expected = make(kernel, (16, 13), "zeros").pull_dense(G)[0]
        np.testing.assert_allclose(gradient.kernel, expected, atol=tol)


def test_a_large_grid_in_single_precision(rng: Any) -> None:
    """Circular and zeros differ by the rim alone, whose share falls with the grid."""
    kernel = torch.tensor(normal(rng, 8, 8, 3, 3), dtype=torch.float32, requires_grad=True)
    norms = [normgrad.spectral_norm(make(kernel, (64, 64), padding)) for padding in PADDINGS]
    circular, zeros = norms
    assert zeros < circular < 1.02 * zeros  # zeros: a compression of a larger circular one
    gradients = [torch.autograd.grad(norm, kernel)[0] for norm in norms]
    for norm, gradient in zip(norms, gradients, strict=True):  # Euler
        torch.testing.assert_close(torch.sum(gradient * kernel).detach(), norm.detach())
    with pytest.raises(ValueError, match=r"2\*\*25"):
        normgrad.nuclear_norm(make(kernel, (64, 64), "zeros"))


def test_singular_values_that_are_nearly_tied() -> None:
    """The residual stands still for a while: with no other way, that is no reason to give up."""
    torch.manual_seed(1)
    kernel = torch.nn.Conv2d(64, 64, 3).weight.detach()
    single, exact = (
        normgrad.spectral_norm(make(K, (16, 16), "zeros")) for K in (kernel, kernel.double())
    )
    assert float(single) == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, normgrad.Schatten(3)], ids=str)
def test_scale_and_zero(ord: Any, padding: str, rng: Any) -> None:
    kernel = normal(rng, 2, 2, 3, 3)
    value, gradient = normgrad.value_and_grad(make(kernel, (4, 4), padding), ord)
    for exponent in (-1000, 1000):
        scaled = make(kernel * 2.0**exponent, (4, 4), padding)
        received, G = normgrad.value_and_grad(scaled, ord)
        assert float(received) == pytest.approx(float(value) * 2.0**exponent, rel=1e-13)
        np.testing.assert_allclose(G.kernel, gradient.kernel, atol=1e-13)
    zero, G = normgrad.value_and_grad(make(0 * kernel, (4, 4), padding), ord)
    assert zero == 0
    assert not G.kernel.any()
    bad = kernel.copy()
    bad[0, 0, 0, 0] = np.nan
    value, G = normgrad.value_and_grad(make(bad, (4, 4), padding), ord)
    assert np.isnan(value)
    assert np.isnan(G.kernel).all()
    empty, G = normgrad.value_and_grad(make(kernel[:0], (4, 4), padding), ord)
    assert empty == 0
    assert G.kernel.shape == (0, 2, 3, 3)


@pytest.mark.parametrize("padding", PADDINGS)
def test_the_frobenius_norm_on_a_grid_of_any_size(padding: str, rng: Any) -> None:
    """One pass over the kernel: each tap is used where it meets the grid."""
    kernel = normal(rng, 2, 3, 4, 3)
    value = float(normgrad.matrix_norm(make(kernel, (1000, 2000), padding)))
    used = np.full((4, 3), 1000.0 * 2000)
    if padding == "zeros":  # at offsets -1, 0, 1, 2 and -1, 0, 1
        used = np.outer([999, 1000, 999, 998], [1999, 2000, 1999])
    assert value == pytest.approx(np.sqrt(np.sum(used * kernel**2)), rel=1e-14)


@pytest.mark.parametrize("padding", PADDINGS)
def test_half_precision_and_transforms(padding: str, rng: Any) -> None:
    kernel = normal(rng, 2, 2, 3, 3)
    value = float(normgrad.spectral_norm(make(kernel, (4, 5), padding)))
    half = torch.tensor(kernel, dtype=torch.bfloat16, requires_grad=True)
    received = normgrad.spectral_norm(make(half, (4, 5), padding))
    received.backward()
    assert received.dtype == half.grad.dtype == torch.bfloat16
    assert float(received.detach()) == pytest.approx(value, rel=0.02)
    f = lambda K: normgrad.spectral_norm(make(K, (4, 5), padding))  # noqa: E731
    G = normgrad.grad(make(kernel, (4, 5), padding), 2).kernel
    np.testing.assert_allclose(jax.jit(jax.grad(f))(kernel), G, atol=1e-13)
    np.testing.assert_allclose(torch.func.grad(f)(torch.tensor(kernel)), G, atol=1e-13)
    stack = torch.tensor(np.stack([kernel, 2 * kernel]))
    np.testing.assert_allclose(torch.func.vmap(torch.func.grad(f))(stack)[1], G, atol=1e-13)
    np.testing.assert_allclose(jax.vmap(jax.grad(f))(jnp.asarray(stack))[1], G, atol=1e-13)


def test_sums(rng: Any) -> None:
    """The identity plus a convolution, as in a residual layer."""
    kernel = normal(rng, 2, 2, 3, 3)
    for padding in PADDINGS:
        A = make(kernel, (3, 4), padding)
        value, gradient = normgrad.value_and_grad(A + normgrad.Diagonal(np.ones(24)), 2)
        exact, G = normgrad.value_and_grad(A.dense() + np.eye(24), 2)
        assert float(value) == pytest.approx(float(exact), rel=1e-14)
        np.testing.assert_allclose(gradient.terms[0].kernel, A.pull_dense(G)[0], atol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda K: make(K[0], (4, 4)), ValueError, r"\(\.\.\., c_out, c_in, kh, kw\).*4 axes"),
        (lambda K: make(K[..., :0], (4, 4)), ValueError, "at least one tap; got 3 x 0"),
        (lambda K: make(K, (4, 4), "same"), ValueError, "'same' is not known.*'circular', 'zeros'"),
        (lambda K: make(K, (4, 4, 4)), ValueError, r"2 positive integer\(s\).*\(4, 4, 4\)"),
        (lambda K: normgrad.Convolution2d(K, 4), ValueError, "2 positive.*got 4"),
        (lambda K: make(K, (4, 0)), ValueError, r"2 positive.*\(4, 0\)"),
        (lambda K: make(K, (4, 2.5)), ValueError, r"2 positive.*\(4, 2.5\)"),
        (lambda K: normgrad.Convolution1d(K, "4"), ValueError, "1 positive.*got '4'"),
        (lambda K: normgrad.Convolution2d("kernel", (4, 4)), TypeError, "kernel must be an array"),
    ],
)
def test_wrong_use(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(np.ones((2, 2, 3, 3)))
