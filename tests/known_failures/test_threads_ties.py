"""What users of other libraries report in public, one test for each thread: ties."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import (
    BY,
    FOUR_U,
    FOUR_V,
    PRODUCT_TOLERANCE,
    VALUE_TOLERANCE,
    check,
    close,
    direction,
    every_engine,
    known,
    spectral,
)


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


@every_engine
def test_pytorch_36314_and_8049_spectral_norm_is_not_underestimated(engine):
    """pytorch#36314, pytorch#8049, haiku#71: power iteration stops below the spectral norm."""
    s = (1 + 2.0**-20, 1, 1 - 2.0**-20)
    check_value = BY[engine](2, spectral(s).A, direction((3, 3))).value
    assert close(check_value, 9 * s[0], VALUE_TOLERANCE)
