"""Triplets from the vectors of the last time: right in every regime, or said not to be."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from normgrad.nn.torch import following
from normgrad.nn.torch.convolutions import Geometry
from normgrad.nn.torch.following import Dense, follow, start
from tests.nn.layers import matrix_of


def followed(A: Any, vectors: Any, tol: float | None = None) -> Any:
    dense = Dense(*A.shape)
    triplet, vectors = follow(*dense.maps(A), vectors, dense.block, tol)
    if triplet is None:
        return None, None, vectors
    u, v = dense.gradient(A, triplet.u, triplet.v)
    return triplet, torch.outer(u, v.conj()).resolve_conj(), vectors


def begun(A: Any) -> Any:
    return start(Dense.block, min(A.shape), A)


@pytest.mark.parametrize(
    "shape", [(60, 50), (50, 60), (300, 250), (5, 30), (1, 3), (1, 1)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
@pytest.mark.parametrize("tol", [None, 0.0])
def test_right_however_far_the_matrix_moved(shape: Any, dtype: Any, tol: Any) -> None:
    torch.manual_seed(0)
    A, E = torch.randn(2, *shape, dtype=dtype)
    vectors, eps = begun(A), torch.finfo(dtype).eps
    for step in (0, 1e-6, 1e-2, 1.0):
        X = A + step * E
        triplet, received, vectors = followed(X, vectors, tol)
        U, s, Vh = np.linalg.svd(X.to(torch.promote_types(dtype, torch.float64)).numpy())
        assert triplet.s == pytest.approx(s[0], rel=100 * eps)
        gap = 1 if len(s) == 1 else 1 - s[1] / s[0]
        G = np.outer(U[:, 0], Vh[0])
        atol = 200 * eps if tol == 0 or min(shape) < 40 else 16 * eps**0.5
        np.testing.assert_allclose(received.numpy(), G, atol=atol / gap)
        assert vectors.shape == (min(*shape, 24), min(shape))
        assert triplet.multiplicity == 1


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, 0])
def test_the_norm_is_right_where_singular_values_crowd(gap: float) -> None:
    """Of 60, all within a share of the largest, moved by more than that."""
    torch.manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(80, 60).double()).Q for _ in range(2))
    A = U @ torch.diag(1 - gap * torch.rand(60).double()) @ V.mT[:, :60]
    vectors, E, found = begun(A), torch.randn(80, 60).double(), 0
    for tol, error in ((None, 100 * 2.2e-16), (1e-8, 1e-8), (1e-4, 1e-4)):
        for _ in range(5):
            A = A + 3e-4 * E.roll(1, 0)
            triplet, _, vectors = followed(A, vectors, tol)
            if triplet is not None:  # it may give up, but not be wrong
                found += 1
                assert triplet.s == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=error)
    assert found >= 10


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-20, 1e20, 1e200, 1e307])
@pytest.mark.parametrize("n", [20, 60])
def test_scale(scale: float, n: int) -> None:
    """What over- or underflows when squared, or is not finite, is said not to be found."""
    A = torch.diag(torch.cat([torch.tensor([3.0, 3.0]), torch.ones(n - 2)]).double())
    vectors = begun(A)
    for bad in (scale * A, A * torch.nan, A * torch.inf, 0 * A):
        triplet, _, after = followed(bad, vectors)
        if triplet is None:
            assert not 1e-110 < scale < 1e110 or bad is not scale * A
        else:
            assert triplet.s == pytest.approx(3 * scale, rel=1e-13)
            assert triplet.multiplicity == 2
        assert followed(A, after)[0].s == pytest.approx(3, rel=1e-13)
    for state in (vectors * torch.nan, vectors * torch.inf, 0 * vectors):  # it recovers
        after = followed(A, state)[2]
        assert followed(A, after)[0].s == pytest.approx(3, rel=1e-13)


def test_what_does_not_converge_is_not_found(monkeypatch: Any) -> None:
    torch.manual_seed(0)
    A = torch.randn(190, 180, dtype=torch.float64)
    monkeypatch.setattr(following, "_PASSES", 1)
    triplet, _, vectors = followed(A, begun(A))
    assert triplet is None
    for _ in range(60):  # it goes on from there
        triplet, _, vectors = followed(A, vectors)
    assert triplet.s == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=1e-13)


def test_others_may_overtake_the_first() -> None:
    A = torch.diag(torch.linspace(3, 1, 60).double())
    vectors = begun(A)
    for k in range(20):
        t = k / 19  # the first ten in reverse order
        s = A.diagonal().clone()
        s[:10] = (1 - t) * s[:10] + t * s[:10].flip(0)
        triplet, _, vectors = followed(torch.diag(s), vectors)
        assert triplet.s == pytest.approx(s.max().item(), rel=1e-13)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions(mode: Any, stride: int) -> None:
    """With the adjoint, and the gradient in the kernel, against the matrix."""
    torch.manual_seed(0)
    layer: Any = nn.Conv2d(
        2, 3, 3, padding=1, padding_mode=mode, stride=stride, bias=False, dtype=torch.float64
    )
    geometry = Geometry.of(layer, (7, 6))
    vectors = start(geometry.block, geometry.size, layer.weight)
    for _ in range(3):
        with torch.no_grad():
            layer.weight += 0.03 * torch.randn_like(layer.weight)
            W = layer.weight.detach()
            forth, back = geometry.maps(W)
            A = matrix_of(layer, 2, 7, 6)
            x, y = torch.randn(4, 84).double(), torch.randn(4, len(A)).double()
            np.testing.assert_allclose(forth(x), x.numpy() @ A.T, atol=1e-12)
            np.testing.assert_allclose(back(y), y.numpy() @ A, atol=1e-12)
            triplet, vectors = follow(forth, back, vectors, geometry.block, 0.0)
        assert triplet is not None
        U, s, Vh = np.linalg.svd(A)
        assert triplet.s == pytest.approx(s[0], rel=1e-13)
        assert triplet.multiplicity <= (s > s[0] * (1 - 1e-12)).sum()
        (G,) = geometry.gradient(W, triplet.u, triplet.v)
        assert (G * W).sum().item() == pytest.approx(s[0], rel=1e-12)
        if triplet.multiplicity <= geometry.alike:  # the same for all vectors of the space
            E = torch.zeros_like(W).reshape(-1)
            for t in range(len(E)):
                E[t] = 1
                layer.weight.data = E.reshape(W.shape)
                slope = U[:, 0] @ matrix_of(layer, 2, 7, 6) @ Vh[0]
                assert G.reshape(-1)[t].item() == pytest.approx(slope, abs=1e-7)
                E[t] = 0
            layer.weight.data = W
