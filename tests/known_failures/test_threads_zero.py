"""What users of other libraries report in public, one test for each thread: norms of zero."""

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import close

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
