"""The four norm tests of scirs2-autograd, on its matrices, with exact answers.

There they ask for gradients that are finite. Here values and gradients are those of closed
forms, in every engine: of ``[[a, b], [c, d]]`` with determinant D > 0 the singular values have
the sum and difference ``(a^2 + b^2 + c^2 + d^2 +- 2 D)^(1/2)``, and A is the sum of a multiple
of a rotation ``[[a + d, b - c], [c - b, a + d]]`` and of a reflection.
"""

from math import inf, sqrt
from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.compat import scirs2

ENGINES = ("numpy", "torch", "jax", "autograd")
TOLERANCE = 1e-14

ORDS = {
    "frobenius_norm": "fro",
    "spectral_norm": 2,
    "nuclear_norm": "nuc",
    "norm1": 1,
    "norm2": 2,
    "norminf": inf,
    "normfro": "fro",
}


def _value_and_gradient(engine: str, name: str, A: Any) -> tuple[Any, Any]:
    norm = getattr(scirs2, name)
    if engine == "numpy":  # which has no differentiation
        return norm(A), normgrad.grad(A, ORDS[name])
    if engine == "torch":
        x = torch.tensor(A, requires_grad=True)
        value = norm(x)
        value.backward()
        return value.detach().numpy(), x.grad.numpy()
    if engine == "jax":
        return jax.value_and_grad(norm)(jnp.asarray(A))
    return autograd.value_and_grad(norm)(A)


def check(engine: str, name: str, A: Any, value: float, G: Any, tolerance: float = TOLERANCE):
    """Hold a norm and its gradient against the exact ones."""
    found, gradient = _value_and_gradient(engine, name, np.asarray(A, dtype=float))
    assert abs(float(found) / value - 1) <= TOLERANCE
    assert np.max(np.abs(np.asarray(gradient) - np.asarray(G))) <= tolerance


KNOWN = [[3.0, 4.0], [5.0, 12.0]]
IDENTITY = np.eye(2)
DIAGONAL = np.diag([2.0, 5.0])
RANK_ONE = np.array([[1.0, 2.0], [2.0, 4.0]])
B = 0.999
NEARLY_SINGULAR = np.full((3, 3), B) + np.diag(np.full(3, 1 - B))

every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
@pytest.mark.parametrize("name", ["frobenius_norm", "normfro"])
def test_frobenius_norm(engine, name):
    check(engine, name, KNOWN, sqrt(194), np.array(KNOWN) / sqrt(194))
    check(engine, name, IDENTITY, sqrt(2), IDENTITY / sqrt(2))
    check(engine, name, DIAGONAL, sqrt(29), DIAGONAL / sqrt(29))
    check(engine, name, RANK_ONE, 5.0, RANK_ONE / 5)


@every_engine
@pytest.mark.parametrize("name", ["spectral_norm", "norm2"])
def test_spectral_norm(engine, name):
    # the singular values of the identity are tied: the least subgradient is I / 2
    check(engine, name, IDENTITY, 1.0, IDENTITY / 2)
    check(engine, name, DIAGONAL, 5.0, [[0, 0], [0, 1]])
    check(engine, name, RANK_ONE, 5.0, RANK_ONE / 5)
    rotation = np.array([[15, -1], [1, 15]]) / sqrt(226)
    reflection = np.array([[-1, 1], [1, 1]]) / sqrt(2)
    check(engine, name, KNOWN, (sqrt(226) + sqrt(162)) / 2, (rotation + reflection) / 2)


@every_engine
def test_nuclear_norm(engine):
    check(engine, "nuclear_norm", IDENTITY, 2.0, IDENTITY)
    check(engine, "nuclear_norm", DIAGONAL, 7.0, IDENTITY)
    # of rank one: the nuclear norm is the Frobenius norm; the least subgradient is u v^T
    check(engine, "nuclear_norm", RANK_ONE, 5.0, RANK_ONE / 5)
    check(engine, "nuclear_norm", KNOWN, sqrt(226), np.array([[15, -1], [1, 15]]) / sqrt(226))


@every_engine
def test_norm_gradient_stability(engine):
    # the singular values of the nearly singular matrix are 1 + 2 b, 1 - b, 1 - b
    size = sqrt(3 + 6 * B**2)
    check(engine, "frobenius_norm", NEARLY_SINGULAR, size, NEARLY_SINGULAR / size)
    check(engine, "spectral_norm", NEARLY_SINGULAR, 1 + 2 * B, np.full((3, 3), 1 / 3))
    # the polar factor I moves by 2 / (s_2 + s_3) times what the matrix is moved by
    condition = (1 + 2 * B) / (1 - B)
    tolerance = 4 * np.finfo(float).eps * condition
    check(engine, "nuclear_norm", NEARLY_SINGULAR, 3.0, np.eye(3), tolerance)


@every_engine
@pytest.mark.parametrize("name", ["norm1", "norminf"])
def test_induced_norms(engine, name):
    def turned(G: Any) -> Any:
        # these matrices are symmetric but for the first
        return np.array(G) if name == "norm1" else np.array(G).T

    # tied columns of one nonzero each, and of three, share evenly
    check(engine, name, IDENTITY, 1.0, IDENTITY / 2)
    check(engine, name, NEARLY_SINGULAR, 1 + 2 * B, np.full((3, 3), 1 / 3))
    check(engine, name, DIAGONAL, 5.0, [[0, 0], [0, 1]])
    check(engine, name, RANK_ONE, 6.0, turned([[0, 1], [0, 1]]))
    check(engine, name, KNOWN, 16.0 if name == "norm1" else 17.0, turned([[0, 1], [0, 1]]))


@pytest.mark.parametrize("name", scirs2.__all__)
def test_keywords_are_those_of_matrix_norm(name):
    A = np.arange(1.0, 13.0).reshape(3, 2, 2)
    found = getattr(scirs2, name)(A, axis=(0, 2), keepdims=True)
    assert found.shape == (1, 2, 1)
    for i in range(2):
        expected = np.linalg.norm(A[:, i], ORDS[name])
        assert abs(found[0, i, 0] / expected - 1) <= TOLERANCE


def test_every_name_is_covered():
    assert sorted(ORDS) == sorted(scirs2.__all__)
