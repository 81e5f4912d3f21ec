"""Derivatives at matrices with exact zeros, in directions that leave the zeros.

There the maps of ord 1 and inf, of their duals and their squares, have kinks in some directions
and none in others. In those in which the difference quotients of NumPy's values are linear, the
derivative must be what they are.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from normgrad.norms import resolve

LINES = [1, math.inf, resolve(1).dual(), resolve(math.inf).dual()]
MAPS = [
    *((kind, ord) for kind in ("prox", "project", "lmo") for ord in LINES),
    *(("prox", normgrad.Squared(ord)) for ord in LINES),
]
ZEROS = {
    "entries": [[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]],
    "column": [[1, 0, 1], [1, 0, 1], [0, 0, 1], [1, 0, 1]],
    "row": [[1, 1, 1], [0, 0, 0], [1, 1, 0], [1, 0, 1]],
    "all but one": [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
    "all": [[0, 0], [0, 0], [0, 0]],
    "one column": [[1], [0], [1]],
}


def quotients(f: Any, A: Any, E: Any, h: float = 1e-6) -> tuple[Any, Any]:
    """Return those of each direction, and where there is neither a kink nor a jump."""
    ahead, behind = (f(A + h * E) - f(A)) / h, (f(A) - f(A - h * E)) / h
    smooth = (np.abs(ahead - behind) < 1e-3) & (np.abs(ahead) < 1e3)
    return (ahead + behind) / 2, np.all(smooth, axis=(1, 2))


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


@pytest.mark.parametrize("zeros", list(ZEROS))
@pytest.mark.parametrize(("kind", "ord"), MAPS, ids=str)
@pytest.mark.parametrize("t", [0.6, 1.7])
@pytest.mark.parametrize("is_complex", [False, True])
def test_derivatives_where_quotients_are_linear(
    kind: str, ord: Any, zeros: str, t: float, is_complex: bool
) -> None:
    rng = np.random.default_rng(3)

    def random(*shape: int) -> Any:
        E = rng.standard_normal(shape)
        return E + 1j * rng.standard_normal(shape) if is_complex else E

    mask = np.array(ZEROS[zeros])
    A = 2 * mask * random(*mask.shape)
    f = lambda A: getattr(normgrad, kind)(A, t, ord)  # noqa: E731
    units = np.eye(A.size).reshape(-1, *A.shape)
    units = np.concatenate([units, 1j * units]) if is_complex else units
    expected, smooth = quotients(f, A, units)
    units, expected = units[smooth], expected[smooth]
    mixed = rng.standard_normal((2, len(units)))
    E = np.einsum("ij,jkl->ikl", mixed, units)
    quotient, smooth = quotients(f, A, E)
    linear = np.einsum("ij,jkl->ikl", mixed, expected)
    if not (np.all(smooth) and np.allclose(quotient, linear, atol=1e-3)):
        assert zeros == "all"  # homogeneous there, of degree 1 or 0
        return
    E, expected = np.concatenate([units, E]), np.concatenate([expected, linear])
    x = torch.from_numpy(A + 0 * E)
    received, dP = (y.numpy() for y in torch.func.jvp(f, (x,), (torch.from_numpy(E),)))
    np.testing.assert_allclose(received, f(A + 0 * E), atol=1e-15)
    np.testing.assert_allclose(dP, expected, atol=2e-5)
    # and it is self-adjoint in all directions
    W = random(*E.shape)
    (back,) = torch.func.vjp(f, x)[1](torch.from_numpy(W))
    assert inner(back.numpy(), E) == pytest.approx(inner(W, dP), rel=1e-9, abs=1e-9)


def test_a_column_inside_of_its_ball_moves_freely() -> None:
    A, E = np.diag([3.0, 0.0]), np.diag([0.0, 1.0])
    for f, norm in [
        (normgrad.prox, 1),
        (normgrad.project, 1),
        (normgrad.prox, normgrad.Squared(1)),
        (normgrad.prox, math.inf),
        (normgrad.project, math.inf),
    ]:
        g = lambda x: f(x, 1.0, norm)  # noqa: B023, E731
        _, dP = torch.func.jvp(g, (torch.from_numpy(A),), (torch.from_numpy(E),))
        np.testing.assert_array_equal(dP, E)


def test_a_zero_under_the_level_stays() -> None:
    A, E = np.array([[3 + 0j], [0]]), np.array([[0], [1 + 0j]])
    g = lambda x: normgrad.project(x, 1.0, 1)  # noqa: E731
    _, dP = torch.func.jvp(g, (torch.from_numpy(A),), (torch.from_numpy(E),))
    np.testing.assert_array_equal(dP, 0)


def test_sparse() -> None:
    def values(v: Any) -> Any:
        return normgrad.project(normgrad.Sparse(v, ([0, 1], [0, 1]), (2, 2)), 1.0, 1).values

    J = torch.autograd.functional.jacobian(values, torch.tensor([3.0, 0.0]))
    np.testing.assert_array_equal(J, [[0, 0], [0, 1]])
