"""Gram matrices: what is corrected, and by how much."""

from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from tests.conftest import orthonormal

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray}


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("shape", [(200, 100), (100, 200)], ids=str)
@pytest.mark.parametrize(("least", "rank_tol"), [(1e-3, 1.03e-2), (3e-5, 1e-3)])
def test_correction_where_small_values_count_as_zero(
    least: float, rank_tol: float, shape: Any, library: str, rng: Any
) -> None:
    """The correction sees the singular values as they are, those below the tolerance too."""
    s = np.geomspace(1, least, 100)
    U, V = (orthonormal(rng, size, 100) for size in shape)
    A, kept = (U * s) @ V.T, s > rank_tol
    norm = normgrad.Nuclear(rank_tol=rank_tol)
    G = normgrad.grad(LIBRARIES[library](A), norm, method="gram")
    np.testing.assert_allclose(np.asarray(G), U[:, kept] @ V[:, kept].T, atol=3e-14)
