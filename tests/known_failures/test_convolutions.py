"""What users suffer from where a layer's norm is taken to be that of its reshaped kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn.utils.parametrizations import spectral_norm

import normgrad


def _gain(layer, x):
    """Return by how much the layer stretches the image that a power method comes to."""
    for _ in range(400):
        y = layer(x)
        (x,) = torch.autograd.grad(y, x, y)
        x = (x / x.norm()).requires_grad_()
    return float((layer(x).norm() / x.norm()).detach())


@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_pytorch_13505_and_99149_the_norm_of_a_layer(padding):
    """pytorch#13505, pytorch#99149: a layer normalised to 1 has the norm 1.71, and up to 3."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(
        4, 4, 3, padding="same", padding_mode=padding, bias=False, dtype=torch.float64
    )
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64, requires_grad=True)
    gain = _gain(layer, x)
    norm = normgrad.spectral_norm(normgrad.Convolution2d(layer.weight, (8, 8), padding))
    assert float(norm.detach()) == pytest.approx(gain, rel=1e-4)
    layer.weight = torch.nn.Parameter((layer.weight / norm).detach())
    assert _gain(layer, x) == pytest.approx(1, rel=1e-4)
    peer = spectral_norm(layer, n_power_iterations=50)
    assert _gain(peer, x) > 1.3  # what it promises is 1


def test_equinox_810_the_reshaped_kernel_is_off_by_up_to_the_root_of_its_taps():
    """equinox#810: the kernel is reshaped, which is not the operator. A 3 x 3 mean: 1/3 for 1."""
    for kernel in (np.full((1, 1, 3, 3), 1 / 9), jnp.full((1, 1, 3, 3), 1 / 9)):
        assert float(normgrad.spectral_norm(kernel.reshape(1, 9))) == pytest.approx(1 / 3)
        A = normgrad.Convolution2d(kernel, (6, 6))
        assert float(normgrad.spectral_norm(A)) == pytest.approx(1, rel=1e-14)
        # what is stretched most is a constant image, and each tap sees it alike
        np.testing.assert_allclose(normgrad.grad(A, 2).kernel, np.ones((1, 1, 3, 3)), atol=1e-13)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_equinox_810_a_zero_kernel(padding):
    """equinox#810: dividing by an estimate, the layers make NaN of a zero weight."""
    layer = torch.nn.Conv2d(2, 3, 3)
    torch.nn.init.zeros_(layer.weight)
    assert bool(torch.isnan(spectral_norm(layer).weight).all())
    weight = torch.zeros(3, 2, 3, 3, requires_grad=True)
    for ord in ("fro", "nuc", 2, normgrad.KyFan(2)):
        norm = normgrad.matrix_norm(normgrad.Convolution2d(weight, (16, 16), padding), ord)
        (G,) = torch.autograd.grad(norm, weight)
        assert norm == 0
        assert not G.any()
    f = lambda K: normgrad.spectral_norm(normgrad.Convolution2d(K, (4, 4), padding))  # noqa: E731
    assert not jax.jit(jax.grad(f))(jnp.zeros((3, 2, 3, 3))).any()
