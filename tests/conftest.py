"""Fixtures shared by all tests: one engine at a time, and matrices with known singular values."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

jax.config.update("jax_enable_x64", True)


def orthonormal(rng: np.random.Generator, m: int, k: int, is_complex: bool = False) -> Any:
    """Return an m x k matrix with orthonormal columns."""
    X = rng.standard_normal((m, k))
    if is_complex:
        X = X + 1j * rng.standard_normal((m, k))
    return np.linalg.qr(X)[0]


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that is the same in every test."""
    return np.random.default_rng(20260101)


@pytest.fixture
def with_singular_values(rng: np.random.Generator) -> Callable[..., Any]:
    """Return a function that makes an m x n matrix with given singular values."""

    def make(s: Any, m: int, n: int, is_complex: bool = False) -> Any:
        k = len(s)
        U, V = orthonormal(rng, m, k, is_complex), orthonormal(rng, n, k, is_complex)
        return (U * np.asarray(s)) @ V.conj().T

    return make
