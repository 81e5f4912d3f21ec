"""Triplets from the columns of the last time: right in every regime, or left to `track`."""

from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from normgrad.nn.torch import following
from normgrad.nn.torch.following import follow


@pytest.mark.parametrize(
    "shape", [(60, 40), (40, 60), (300, 250), (5, 30), (1, 3), (1, 1)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
def test_right_however_far_the_matrix_moved(shape: Any, dtype: Any) -> None:
    torch.manual_seed(0)
    A, E = torch.randn(2, *shape, dtype=dtype)
    columns = normgrad.track(A)[2]
    eps = torch.finfo(dtype).eps
    for step in (0, 1e-6, 1e-2, 1.0):
        X = A + step * E
        found = follow(X, columns, None)
        columns = found.columns
        U, s, Vh = np.linalg.svd(X.to(torch.promote_types(dtype, torch.float64)).numpy())
        assert found.norm.item() == pytest.approx(s[0], rel=100 * eps)
        gap = 1 if len(s) == 1 else 1 - s[1] / s[0]
        G = np.outer(U[:, 0], Vh[0])
        np.testing.assert_allclose(found.gradient.resolve_conj().numpy(), G, atol=200 * eps / gap)
        assert columns.shape == (min(shape), min(*shape, 3))
        assert not found.tied or len(s) == 1


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-20, 1e20, 1e200, 1e307])
def test_scale(scale: float, monkeypatch: Any) -> None:
    """Squares that over- or underflow are left to `track`, and so is what is not finite."""
    A = torch.diag(torch.tensor([3.0, 3.0, 1.0], dtype=torch.float64))
    A = torch.cat([A, torch.zeros(20, 3).double()])
    columns = torch.eye(3, dtype=torch.float64)
    found = follow(scale * A, columns, None)
    assert found.norm.item() == pytest.approx(3 * scale, rel=1e-13)
    assert found.tied
    for bad in (torch.nan, torch.inf):
        assert not follow(A * bad, columns, None).norm.isfinite()
        other = follow(A, columns * bad, None)  # a state that is no help
        assert other.norm.item() == pytest.approx(3, rel=1e-13)
    assert follow(0 * A, columns, None).norm == 0
    assert follow(A, 0 * columns, None).norm.item() == pytest.approx(3, rel=1e-13)


def test_what_does_not_converge_is_left_to_track(monkeypatch: Any) -> None:
    torch.manual_seed(0)
    A = torch.randn(90, 80, dtype=torch.float64)
    columns = torch.linalg.qr(torch.randn(80, 3, dtype=torch.float64)).Q
    calls = []
    track = normgrad.track
    monkeypatch.setattr(following, "_STEPS", (2,))
    monkeypatch.setattr(following, "_SMALL", 0)
    monkeypatch.setattr(normgrad, "track", lambda *a, **k: calls.append(a) or track(*a, **k))
    norm = follow(A, columns, None).norm.item()
    assert norm == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=1e-13)
    assert len(calls) == 1
    follow(A, columns, 0.5)
    assert len(calls) == 1


def test_the_second_may_overtake_the_first() -> None:
    columns = torch.eye(40, dtype=torch.float64)[:, :3].clone()
    for t in np.linspace(0, 1, 11):
        A = torch.diag(torch.cat([torch.tensor([3 - t, 2 + t]), torch.ones(38)]).double())
        found = follow(A, columns, 1e-2)
        columns = found.columns
        assert found.norm.item() == pytest.approx(max(3 - t, 2 + t), rel=1e-4)
        assert found.tied == (abs(t - 0.5) < 1e-9)
