"""Norms in the training of PyTorch modules: exact constraints, bounds and penalties."""

from normgrad.nn.torch.lipschitz import lipschitz_bound
from normgrad.nn.torch.parametrization import SpectralNorm, spectral_norm
from normgrad.nn.torch.penalties import nuclear_penalty, spectral_penalty

__all__ = [
    "SpectralNorm",
    "lipschitz_bound",
    "nuclear_penalty",
    "spectral_norm",
    "spectral_penalty",
]
