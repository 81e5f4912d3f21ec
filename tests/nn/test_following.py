"""Triplets from the vectors of the last time: right in every regime, or said not to be."""

from typing import Any

import numpy as np
import pytest
import torch

import normgrad
from normgrad.nn.torch import SpectralNorm, following
from normgrad.nn.torch.following import Products, computed_triplet, follow


def found(A: Any, vectors: Any = None, tol: float | None = None) -> Any:
    """Return the triplet, the gradient, and vectors to go on from: by `vectors`, if there are."""
    if vectors is None:
        triplet = computed_triplet(A)
    else:
        triplet, vectors = follow(Products.of(A), vectors, tol)
    if triplet is None:
        return None, None, vectors
    gradient = triplet.u.mT @ triplet.v.conj() / len(triplet.u)
    return triplet, gradient.resolve_conj(), vectors


def start(A: Any) -> Any:
    return following.start(Products.of(A))


@pytest.mark.parametrize("shape", [(150, 140), (140, 150), (300, 250)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128])
@pytest.mark.parametrize("tol", [None, 0.0])
def test_right_however_far_the_matrix_moved(shape: Any, dtype: Any, tol: Any) -> None:
    torch.manual_seed(0)
    A, E = torch.randn(2, *shape, dtype=dtype)
    vectors, eps = start(A), torch.finfo(dtype).eps
    for step in (0, 1e-6, 1e-2, 1.0):
        X = A + step * E
        triplet, received, vectors = found(X, vectors, tol)
        assert_is_first(X, triplet, received, 200 * eps if tol == 0 else 16 * eps**0.5)
        assert vectors.shape == (22, min(shape))


@pytest.mark.parametrize(
    "shape", [(128, 128), (128, 300), (100, 50), (41, 41), (5, 30), (1, 3), (3, 2), (1, 1)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_small_matrices(shape: Any, dtype: Any) -> None:
    torch.manual_seed(0)
    assert start(torch.ones(shape)) is None
    for flat in (False, True):  # with singular values all of one size
        A = torch.randn(shape, dtype=dtype)
        if flat:
            A = torch.linalg.svd(A, full_matrices=False)[0] if shape[0] >= shape[1] else A
            A = A + 1e-3 * torch.randn(shape, dtype=dtype)
        triplet, received, _ = found(A)
        assert_is_first(A, triplet, received, 200 * torch.finfo(dtype).eps)


def turned(s: Any) -> Any:
    """Return a matrix of these singular values, without zeros, always with the same vectors."""
    torch.manual_seed(3)
    U, V = (torch.linalg.qr(torch.randn(len(s), len(s)).double()).Q for _ in range(2))
    return U @ torch.diag(s) @ V


def assert_is_first(A: Any, triplet: Any, received: Any, atol: float) -> None:
    """Against NumPy's SVD in double precision."""
    U, s, Vh = np.linalg.svd(A.to(torch.promote_types(A.dtype, torch.float64)).numpy())
    assert triplet.s == pytest.approx(s[0], rel=100 * torch.finfo(A.dtype).eps)
    gap = 1 if len(s) == 1 else 1 - s[1] / s[0]
    np.testing.assert_allclose(received.numpy(), np.outer(U[:, 0], Vh[0]), atol=atol / gap)
    assert len(triplet.u) == 1


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, 0])
def test_the_norm_is_right_where_singular_values_crowd(gap: float) -> None:
    """Of 140, all within a share of the largest, moved by more than that."""
    torch.manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(150, 140).double()).Q for _ in range(2))
    A = U @ torch.diag(1 - gap * torch.rand(140).double()) @ V.mT[:, :140]
    vectors, E, count = start(A), torch.randn(150, 140).double(), 0
    for tol, error in ((None, 100 * 2.2e-16), (1e-8, 1e-8), (1e-4, 1e-4)):
        for _ in range(5):
            A = A + 3e-4 * E.roll(1, 0)
            triplet, _, vectors = found(A, vectors, tol)
            if triplet is not None:  # it may give up, but not be wrong
                count += 1
                assert triplet.s == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=error)
    assert count >= 10


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-20, 1e20, 1e200, 1e307])
@pytest.mark.parametrize("n", [20, 60, 140])
def test_scale(scale: float, n: int) -> None:
    """What over- or underflows when squared, or is not finite, is said not to be found."""
    A = turned(torch.cat([torch.tensor([3.0, 3.0]), torch.ones(n - 2)]).double())
    vectors = start(A)
    triplet, _, _ = found(scale * A, vectors)
    assert (triplet is not None) == (1e-110 < scale < 1e110)
    if triplet is not None:
        assert triplet.s == pytest.approx(3 * scale, rel=1e-13)
        assert len(triplet.u) == 2
    for bad in (A * torch.nan, A * torch.inf, 0 * A):
        triplet, _, after = found(bad, vectors)
        assert triplet is None
        assert found(A, after)[0].s == pytest.approx(3, rel=1e-13)
    if vectors is None:
        return
    for state in (vectors * torch.nan, vectors * torch.inf, 0 * vectors):  # it recovers
        after = found(A, state)[2]
        assert found(A, after)[0].s == pytest.approx(3, rel=1e-13)


def test_what_does_not_converge_is_not_found(monkeypatch: Any) -> None:
    torch.manual_seed(0)
    A = torch.randn(190, 180, dtype=torch.float64)
    monkeypatch.setattr(following, "_PASSES", 1)
    triplet, _, vectors = found(A, start(A))
    assert triplet is None
    for _ in range(60):  # it goes on from there
        triplet, _, vectors = found(A, vectors)
    assert triplet.s == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=1e-13)


def test_others_may_overtake_the_first() -> None:
    first = torch.linspace(3, 1, 140).double()
    vectors = start(turned(first))
    for k in range(20):
        t = k / 19  # the first ten in reverse order
        s = first.clone()
        s[:10] = (1 - t) * s[:10] + t * s[:10].flip(0)
        triplet, _, vectors = found(turned(s), vectors)
        assert triplet.s == pytest.approx(s.max().item(), rel=1e-13)


@pytest.mark.parametrize("overlooked", [True, False])
def test_a_matrix_that_falls_apart(overlooked: bool, monkeypatch: Any) -> None:
    """The vectors of one part do not see another one grow, a random vector does."""
    if not overlooked:
        monkeypatch.setattr(following, "_overlooked", lambda *args: None)
    torch.manual_seed(0)
    apart = torch.zeros(200, 150)
    apart[:100, :70] = torch.randn(100, 70)
    other = torch.zeros(200, 150)
    other[100:, 70:] = torch.randn(100, 80)
    single = torch.zeros(200, 150)
    single[0, 0] = 1
    rest = torch.randn(200, 150)
    rest[0, :], rest[:, 0] = 0, 0
    rights = []
    for A, B in ((apart, other), (rest, single)):
        A, B = (x / torch.linalg.matrix_norm(x, 2) for x in (A, B))
        for X, Y in ((A, B), (A.mT, B.mT)):
            vectors = found(X, start(X))[2]
            for share in (0.1, 1.01, 1.5):
                triplet, _, vectors = found(X + share * Y, vectors)
                rights.append(triplet.s == pytest.approx(max(share, 1), rel=4e-6))
    assert all(rights) == overlooked


@pytest.mark.parametrize("factor", [1.1, 1.3, 2.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_overtakes_by_far_is_not_lost_to_overflow(factor: float, dtype: Any) -> None:
    """Where the leading values crowd the polynomial is of high degree, and large beyond them."""
    s = torch.cat([torch.linspace(0.994, 1, 22), torch.linspace(0.1, 0.98, 150)]).to(dtype)
    vectors = torch.eye(172, dtype=dtype)[:22]
    for _ in range(2):
        vectors = found(torch.diag(s), vectors)[2]
    s[100] = factor
    triplet, _, after = found(torch.diag(s), vectors)
    triplet = found(torch.diag(s), after)[0] if triplet is None else triplet
    assert triplet.s == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_what_overtakes_may_be_followed_in_part(share: float) -> None:
    """Mixed with what is small, so that it is not among the largest of what is followed."""
    s = torch.cat([torch.full((8,), 1.001), torch.ones(14), torch.full((150,), 0.1)]).double()
    vectors = torch.eye(172, dtype=torch.float64)[:22]
    vectors[:8] = share**0.5 * vectors[:8] + (1 - share) ** 0.5 * vectors[:8].roll(100, 1)
    triplet, _, _ = found(torch.diag(s), vectors)
    assert triplet.s == pytest.approx(s.max().item(), rel=1e-13)


@pytest.mark.parametrize("gap", [0.0, 1e-6, 1e-4, 1e-2])
def test_next_to_the_identity_vectors_stay_orthonormal(gap: float) -> None:
    """Where a product with the matrix gives hardly anything new."""
    torch.manual_seed(0)
    A = torch.eye(300) + gap * torch.randn(300, 300) / 17
    vectors = start(A)
    for _ in range(4):
        triplet, _, vectors = found(A, vectors)
        torch.testing.assert_close(vectors @ vectors.mT, torch.eye(22), atol=1e-5, rtol=0)
        if triplet is not None:
            assert triplet.s == pytest.approx(np.linalg.norm(A.numpy(), 2), rel=4e-6 + gap)
    assert triplet is not None or gap > 0


@pytest.mark.parametrize("n", [100, 200])
def test_no_singular_value_is_out_of_sight(n: int) -> None:
    """Of a diagonal matrix, whose vectors never turn: each may overtake at any step."""
    torch.manual_seed(0)
    d = torch.linspace(1, 0.5, n)
    parametrization = SpectralNorm(torch.diag(d))
    for _ in range(30):
        d = d.clone()
        d[torch.randint(n, ())] = d.max() * 1.001
        s = torch.linalg.matrix_norm(parametrization(torch.diag(d)), 2).item()
        assert s == pytest.approx(1, rel=4e-6)


def test_a_step_may_bring_a_new_leading_part() -> None:
    """Of a dense matrix: a term of rank one, as large as the rest."""
    torch.manual_seed(0)
    A = torch.randn(300, 200)
    vectors = start(A)
    for _ in range(20):
        A = A + 30 * torch.outer(torch.randn(300), torch.randn(200)) / 245
        triplet, _, vectors = found(A, vectors)
        assert triplet.s == pytest.approx(torch.linalg.matrix_norm(A, 2).item(), rel=4e-6)


def test_a_tie_is_one_of_the_norm() -> None:
    """By the tolerance of `normgrad.Spectral`, which goes by the longer side."""
    torch.manual_seed(0)
    for m, n in ((2000, 50), (1500, 130)):
        U, V = (torch.linalg.qr(torch.randn(k, n).double()).Q for k in (m, n))
        for share, tied in ((0.5, True), (2.0, False)):
            s = torch.linspace(1, 0.1, n).double()
            s[1] = 1 - share * 8 * m**0.5 * 2.2e-16
            A = U @ torch.diag(s) @ V.mT
            assert len(found(A, start(A), 0.0)[0].u) == 1 + tied


def test_a_tolerance_saves_work() -> None:
    """Also of a matrix that may fall apart: what is left of the norm is what was allowed."""
    torch.manual_seed(0)
    A, E = torch.randn(2, 300, 300, dtype=torch.float64) * (torch.rand(300, 300) < 0.2)
    counts = []
    for tol in (1e-3, 1e-6, None):
        vectors, rows = start(A), []
        for i in range(10):
            X = A + i / 100 * E
            A_X = Products.of(X)
            counted = A_X._replace(
                forth=lambda V, f=A_X.forth, rows=rows: rows.append(len(V)) or f(V)
            )
            triplet, vectors = follow(counted, vectors, tol)
            assert triplet is not None
            exact = torch.linalg.matrix_norm(X, 2).item()
            assert triplet.s == pytest.approx(exact, rel=1e-13 if tol is None else tol)
        counts.append(sum(rows))
    assert counts[0] <= counts[1] <= counts[2]


def test_certain_where_singular_values_crowd_and_no_array_fits() -> None:
    """As of a large convolution: looking longer costs less than a factorization afresh."""
    s = torch.cat([torch.linspace(1.0, 0.998, 23), torch.rand(7000) * 0.998]).double()
    A = Products.of(normgrad.Diagonal(s))
    triplet, _ = follow(A, torch.eye(len(s), dtype=torch.float64)[:22], None)
    assert triplet is not None
    assert triplet.certain
    assert triplet.s == pytest.approx(1.0, rel=1e-12)
