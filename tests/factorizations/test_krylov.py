"""Blocks of vectors: their products, what a block shows of ties, and refinement."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.arithmetic import row_products, row_qr
from normgrad.factorizations import Demand
from normgrad.factorizations.eigenvectors import CROWDED, FAILED, FOUND, largest_eigenvectors
from normgrad.factorizations.krylov import Problem
from normgrad.factorizations.lanczos import Lanczos
from tests.conftest import orthonormal
from tests.factorizations.test_large import LIBRARIES, known


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (200, 131), (1, 3), (3, 1), (129, 64)], ids=str)
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("layout", ["rows", "columns", "strided"])
def test_products_with_rows(
    layout: str, is_complex: bool, shape: Any, library: str, rng: Any
) -> None:
    """In every layout of the matrix, and for sizes that no block divides."""
    m, n = shape
    A = rng.standard_normal((2 * m, 2 * n)) + (1j * rng.standard_normal((2 * m, 2 * n)))
    A = A if is_complex else A.real
    A = {"rows": A[:m, :n].copy(), "columns": A[:m, :n].copy(order="F"), "strided": A[::2, ::2]}[
        layout
    ]
    X, Y = A[:1].conj().repeat(3, 0) + np.arange(3)[:, None], A[:, :1].T.repeat(3, 0) - 1
    make = torch.from_numpy if library == "torch" else LIBRARIES[library]
    forth, back = row_products(make(A))
    np.testing.assert_allclose(np.asarray(forth(make(X))), X @ A.T, atol=1e-12)
    np.testing.assert_allclose(np.asarray(back(make(Y))), Y @ A.conj(), atol=1e-12)


@pytest.mark.parametrize("is_complex", [False, True])
def test_qr_of_rows_compiled(is_complex: bool, rng: Any) -> None:
    """Compiled it is another algorithm: the same factors, and zero rows stay zero."""
    W = rng.standard_normal((4, 50)) + 1j * is_complex * rng.standard_normal((4, 50))
    W = W if is_complex else W.real
    W[2] = 0
    Q, R = map(np.asarray, jax.jit(row_qr)(jnp.asarray(W)))
    np.testing.assert_allclose(Q.T @ R, W.T, atol=1e-14)
    np.testing.assert_allclose(Q.conj() @ Q.T, np.diag([1, 1, 0, 1]), atol=1e-14)
    assert np.array_equal(np.triu(R), R)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("tied", [2, 3, 4, 5, 7])
def test_a_cluster_that_fills_the_block(tied: int, library: str, rng: Any) -> None:
    """It is looked at again with more vectors at once."""
    s = np.r_[np.full(tied, 2.0), np.linspace(1.8, 0.1, 420 - tied)]
    A, U, V = known(rng, 430, 420, s)
    outcome = Lanczos().factorize(LIBRARIES[library](A), Demand(1, 1e-13, 1e-13))
    assert outcome.holds
    assert f"{tied - 1} vectors tied" in outcome.reason
    G = normgrad.grad(LIBRARIES[library](A), 2)
    np.testing.assert_allclose(np.asarray(G), U[:, :tied] @ V[:, :tied].T / tied, atol=1e-13)


def test_a_block_does_not_pretend() -> None:
    """Of b equal eigenvalues it is not known whether they are all."""
    M = np.diag(np.r_[np.ones(4), np.linspace(0.5, 0.1, 196)])
    start = np.random.default_rng(0).standard_normal((4, 200))
    problem = Problem(lambda X: X @ M, start, 40, 1e-12)
    assert largest_eigenvectors(problem, 1).status == CROWDED
    found = largest_eigenvectors(problem._replace(start=start[:3]), 1)
    assert found.status == CROWDED
    M[3, 3] = 0.9
    found = largest_eigenvectors(problem, 1)
    assert (found.status, found.count) == (FOUND, 3)
    np.testing.assert_allclose(np.abs(found.rows[:3, 3:]), 0, atol=1e-13)


def test_no_tie_is_missed_in_small_spaces(rng: Any) -> None:
    """Random spectra with and without a double top: what the block says is true."""
    for i in range(60):
        n = 60 + i
        theta = np.sort(rng.uniform(0, 1, n))[::-1] ** 2
        theta[0] = theta[1] = 1.1 * theta[2]
        theta[1] *= 1 - 1e-5 * (i % 2)
        Q = orthonormal(rng, n, n)
        M = (Q * theta) @ Q.T
        problem = Problem(lambda X, M=M: X @ M, rng.standard_normal((3, n)), n, 1e-12)
        found = largest_eigenvectors(problem, 1)
        assert found.status == FOUND
        assert found.count == 2 - i % 2
        X = found.rows[: found.count]
        np.testing.assert_allclose(X @ Q[:, 2:], 0, atol=1e-11)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-5, 1e-7])
def test_close_singular_values_in_double(
    gap: float, is_complex: bool, library: str, rng: Any
) -> None:
    """What single precision can not tell apart is told apart in double."""
    s = np.r_[2, 2 * (1 - gap), np.linspace(1.7, 0.1, 408)]
    A, U, V = known(rng, 410, 420, s, is_complex)
    account = normgrad.explain(LIBRARIES[library](A), 2)
    assert "no tie" in account.reason
    value, G = normgrad.value_and_grad(LIBRARIES[library](A), 2)
    assert float(value) == pytest.approx(2, rel=4e-15)
    exact = np.outer(U[:, 0], V[:, 0].conj())
    assert np.linalg.norm(np.asarray(G) - exact) <= 2e-14 / gap


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (20, 30), (101, 130)], ids=str)
@pytest.mark.parametrize("rank", [0, 1, 3, None])
def test_by_name_whatever_the_size(rank: Any, shape: Any, rng: Any) -> None:
    """Small spaces are exhausted, and those of low rank at once."""
    k = min(shape) if rank is None else min(rank, *shape)
    A, U, V = known(rng, *shape, np.linspace(2, 1, k)) if k else (np.zeros(shape), None, None)
    value, G = normgrad.value_and_grad(A, 2, method="lanczos")
    assert float(value) == pytest.approx(2 if k else 0, rel=1e-14)
    np.testing.assert_allclose(G, np.outer(U[:, 0], V[:, 0]) if k else A, atol=1e-12)


@pytest.mark.parametrize("tied", [1, 2, 3])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_where_the_basis_is_full_another_one_is_started(library: str, tied: int, rng: Any) -> None:
    """A gap of 5e-3 takes more than 120 vectors; of 1e-6 more than ever, which is seen soon."""
    index = np.arange(1, 1001 - tied)
    for below, status in (1 - 5e-3 * index, FOUND), (1 - (index / 1000) ** 2, FAILED):
        V, theta = orthonormal(rng, 1000, 1000), np.maximum(np.r_[np.ones(tied), below], 0)
        M = LIBRARIES[library]((V * theta) @ V.T)
        start = LIBRARIES[library](rng.standard_normal((4, 1000)))
        problem = Problem(lambda X, M=M: X @ M, start, 30, 1e-13)
        assert largest_eigenvectors(problem, 1).status == FAILED
        found = largest_eigenvectors(problem._replace(patient=True), 1)
        assert found.status == status
        if status == FOUND:
            rows = np.asarray(found.leading(1))
            np.testing.assert_allclose(rows.T @ rows, V[:, :tied] @ V[:, :tied].T, atol=1e-11)
        assert (120 < found.products <= 600) if status == FOUND else found.products <= 240
