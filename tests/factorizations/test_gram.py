"""Gram matrices: what is corrected, and by how much."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from normgrad.arithmetic import gram
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


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("shape", [(130, 60), (60, 130), (2, 40, 30)], ids=str)
@pytest.mark.parametrize("ord", ["nuc", normgrad.Schatten(1.5)], ids=str)
def test_correction_of_complex_matrices(ord: Any, shape: Any, library: str, rng: Any) -> None:
    *batch, m, n = shape
    k, p = min(m, n), getattr(ord, "p", 1)
    s = np.geomspace(1, 1e-3, k)
    U, V = orthonormal(rng, m, k, is_complex=True), orthonormal(rng, n, k, is_complex=True)
    A = np.array(np.broadcast_to((U * s) @ V.conj().T, (*batch, m, n)))
    G = normgrad.grad(LIBRARIES[library](A), ord)
    assert normgrad.explain(LIBRARIES[library](A), ord).factorization == "gram"
    exact = (U * (s / np.sum(s**p) ** (1 / p)) ** (p - 1)) @ V.conj().T
    np.testing.assert_allclose(np.asarray(G), np.broadcast_to(exact, shape), atol=1e-13)


def test_peak_memory_of_the_correction(rng: Any) -> None:
    """U, V, the defect, the corrected core and two temporaries, each of the size of A."""
    n = 300
    U, V = orthonormal(rng, n, n), orthonormal(rng, n, n)
    A = (U * np.geomspace(1, 1e-3, n)) @ V.T
    assert normgrad.explain(A, "nuc").factorization == "gram"
    tracemalloc.start()
    normgrad.value_and_grad(A, "nuc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 6.3 * A.nbytes


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(1000, 60), (60, 1000), (2, 700, 40)], ids=str)
@pytest.mark.parametrize("condition", [1e6, 1e8, 1e10])
def test_preconditioned_far_from_square(
    condition: float, shape: Any, is_complex: bool, library: str, rng: Any
) -> None:
    """As accurate as an SVD, whose vectors are off by eps times the condition number."""
    m, n = shape[-2:]
    k = min(m, n)
    s = np.concatenate([np.ones(k // 2), np.geomspace(1, 1 / condition, k - k // 2)])
    U, V = (orthonormal(rng, size, k, is_complex=is_complex) for size in (m, n))
    A = np.array(np.broadcast_to((U * s) @ V.conj().T, shape))
    assert normgrad.explain(LIBRARIES[library](A), "nuc").factorization == "gram"
    value, G = map(np.asarray, normgrad.value_and_grad(LIBRARIES[library](A), "nuc"))
    np.testing.assert_allclose(value, s.sum(), rtol=1e-14)
    np.testing.assert_allclose(
        G, np.broadcast_to(U @ V.conj().T, shape), atol=8 * np.finfo(float).eps * condition
    )
    short = G if m < n else G.conj().swapaxes(-2, -1)
    unit = short @ short.conj().swapaxes(-2, -1)
    np.testing.assert_allclose(unit, np.broadcast_to(np.eye(k), unit.shape), atol=1e-10)


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("least", [1e-13, 0.0])
def test_not_preconditioned_below_its_reach(least: float, library: str, rng: Any) -> None:
    s = np.append(np.geomspace(1, 1e-9, 39), least)
    A = (orthonormal(rng, 800, 40) * s) @ orthonormal(rng, 40, 40).T
    assert normgrad.explain(LIBRARIES[library](A), "nuc").factorization == "qr"


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("condition", [2, 9, 100, 1e3])
@pytest.mark.parametrize("shape", [(24000, 48), (48, 24000), (2, 900, 32)], ids=str)
def test_single_precision_far_from_square(
    shape: Any, condition: float, is_complex: bool, library: str, rng: Any
) -> None:
    """Next to nothing is lost, however ill conditioned; an SVD loses eps times the condition."""
    m, n = shape[-2:]
    k = min(m, n)
    U, V = (orthonormal(rng, size, k, is_complex=is_complex) for size in (m, n))
    A = np.array(np.broadcast_to((U * np.geomspace(1, 1 / condition, k)) @ V.conj().T, shape))
    A = A.astype(np.complex64 if is_complex else np.float32)
    # (the matrix as it has been rounded)
    U, s, Vh = np.linalg.svd(A.astype(complex), full_matrices=False)
    value, G = map(np.asarray, normgrad.value_and_grad(LIBRARIES[library](A), "nuc"))
    np.testing.assert_allclose(value, s.sum(axis=-1), rtol=1.2e-7)
    assert np.linalg.norm(G - U @ Vh) <= 4e-7 * np.linalg.norm(U @ Vh)


def test_single_precision_of_entries_of_one_size(rng: Any) -> None:
    """Where the rounding errors of sums have one sign: some ten eps for the value."""
    A = (np.sign(rng.standard_normal((20000, 64))) / 3).astype(np.float32)
    U, s, Vh = np.linalg.svd(A.astype(float), full_matrices=False)
    value, G = normgrad.value_and_grad(torch.from_numpy(A), "nuc")
    np.testing.assert_allclose(value, s.sum(), rtol=1.4e-6)
    np.testing.assert_allclose(G, U @ Vh, atol=2e-8)


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(30, 401), (500, 400)], ids=str)
def test_one_triangle_is_enough(shape: Any, is_complex: bool, rng: Any) -> None:
    A = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if is_complex else 0)
    S = gram(torch.from_numpy(A)).numpy()
    np.testing.assert_allclose(S, A.conj().T @ A, atol=1e-12 * shape[0])
    np.testing.assert_allclose(S, S.conj().T, atol=1e-12 * shape[0])
