"""What a spectral norm can not be given to, and what is said of it."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import normgrad
from normgrad.nn.torch import spectral_norm
from tests.nn.test_parametrization import numpy_norm


@pytest.mark.parametrize(
    ("layer", "options", "error", "words"),
    [
        (nn.Linear(2, 3), {"bound": 0}, ValueError, "positive, finite number; got 0"),
        (nn.Linear(2, 3), {"bound": "1"}, TypeError, "positive number; got str '1'"),
        (nn.Linear(2, 3), {"mode": "clip"}, ValueError, "'clip' is not known; valid: 'normalise'"),
        (nn.Linear(2, 3), {"grid": (4, 4)}, ValueError, "for convolutions; got a Linear"),
        (nn.Linear(2, 3), {"name": "kernel"}, ValueError, r"no weight 'kernel'.*\['weight', 'bias"),
        (nn.Linear(2, 3), {"name": "bias"}, TypeError, "'bias' of a Linear"),
        (nn.Linear(2, 3), {"tol": 2}, ValueError, "tol"),
        (nn.Embedding(4, 3, sparse=True), {}, ValueError, "sparse=False"),
        (nn.Embedding(4, 3, max_norm=1.0), {}, ValueError, "max_norm=None"),
        (nn.Bilinear(2, 3, 4), {}, TypeError, "'weight' of a Bilinear.*register a SpectralNorm"),
        (nn.LSTM(2, 3), {"name": "weight_hh_l0"}, TypeError, "'weight_hh_l0' of a LSTM"),
        (nn.Conv2d(2, 3, 3), {}, ValueError, r"Conv2d depends on.*grid = \(H, W\).*got None"),
        (nn.Conv2d(2, 3, 3), {"grid": 4}, ValueError, r"\(H, W\), positive integers; got 4"),
        (nn.Conv1d(2, 3, 3), {"grid": 4, "tol": 0.1}, ValueError, "leave tol out"),
        (nn.Conv1d(2, 3, 3), {"grid": 4, "padding": "same"}, ValueError, "'same' is not known"),
        (nn.Linear(2, 3), {"name": 1.5}, TypeError, "name is that of the weight.*got 1.5.*bound="),
        (nn.Sequential(nn.Linear(2, 3)), {}, ValueError, "a Sequential.*each of its layers"),
        (nn.Conv2d(2, 3, 7), {"grid": (4, 9)}, ValueError, r"\(4, 9\) is not a size.*Kernel size"),
    ],
)
def test_wrong_use(layer: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        spectral_norm(layer, **options)
    assert not parametrize.is_parametrized(layer)


def test_a_weight_has_one_spectral_norm() -> None:
    layer = spectral_norm(nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"has a spectral norm already.*remove_parametrizations"):
        spectral_norm(layer, bound=2.0)
    parametrize.remove_parametrizations(layer, "weight")
    assert numpy_norm(spectral_norm(layer, bound=2.0).weight) == pytest.approx(2, rel=1e-6)


def test_layers_without_a_shape() -> None:
    with pytest.raises(ValueError, match="pass an input"):
        spectral_norm(nn.LazyLinear(3))


def test_what_is_no_module() -> None:
    with pytest.raises(TypeError, match=r"got a Tensor. The norm of a tensor is normgrad"):
        spectral_norm(torch.eye(3))  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"got torch.nn.modules.linear.Linear; pass its weight"):
        normgrad.spectral_norm(nn.Linear(3, 3))


def test_convolutions_are_not_traced() -> None:
    layer = spectral_norm(nn.Conv2d(2, 3, 3, padding=1), grid=(6, 6))
    x = (torch.ones(1, 2, 6, 6),)
    for record in (torch.export.export, torch.jit.trace):
        with pytest.raises(NotImplementedError, match="remove_parametrizations"):
            record(layer, x)
    parametrize.remove_parametrizations(layer, "weight")
    torch.export.export(layer, x)
