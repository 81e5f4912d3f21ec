"""The checker in every precision: right derivatives pass, wrong ones fail."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.norms import AbsoluteSum
from normgrad.testing import check_grad
from normgrad.testing.autodiff import Answer, Derivatives
from normgrad.testing.seen import as_seen
from tests.known_failures.test_measured import PEERS, TIED

EXTREME = ("1e-200", "1e-310", "1e200", "1e160", "1e-160")
KNOWN = {
    **{name: row[0] for name, row in PEERS.items() if name != "spectral 0 x 3"},
    **{f"complex {name}": lambda make=make: make(is_complex=True) for name, make in TIED.items()},
}
ORDINARY = [name for name in KNOWN if not name.endswith(EXTREME)]
DTYPES = ("float64", "float32", "bfloat16", "float16")
COMPLEX = {"float64": "complex128", "float32": "complex64"}


def _known(name: str, dtype: str) -> Any:
    """Return the norm, and the matrix in PyTorch; complex ones have no half precision."""
    case = KNOWN[name]()
    if np.iscomplexobj(case.A):
        dtype = COMPLEX.get(dtype, "complex64")
    return case.norm, torch.tensor(case.A).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ORDINARY)
def test_known_failures_of_others_pass(name: str, dtype: str) -> None:
    norm, x = _known(name, dtype)
    assert check_grad(x, norm, directions=2).conclusive


@pytest.mark.parametrize("name", [name for name in KNOWN if name.endswith(EXTREME)])
def test_extreme_scales_pass(name: str) -> None:
    case = KNOWN[name]()
    assert check_grad(case.A, case.norm).conclusive
    single = case.A.astype(np.float32) if np.all(np.abs(case.A) < 1e38) else 1e30 * np.eye(3)
    assert check_grad(np.asarray(single, np.float32), case.norm).passed


def _wrong(monkeypatch: Any, method: str, change: Any) -> None:
    right = getattr(Derivatives, method)

    def wrong(*arguments: Any) -> Answer:
        answer = right(*arguments)
        return answer._replace(array=change(answer.array))

    monkeypatch.setattr(Derivatives, method, wrong)


def _elsewhere(X: Any) -> Any:
    """Return something as large as X, in a random direction."""
    W = np.random.default_rng(5).standard_normal(X.shape)
    return W * np.linalg.norm(X) / np.linalg.norm(W)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", ORDINARY)
def test_a_gradient_wrong_by_1_percent_fails(name: str, dtype: str, monkeypatch: Any) -> None:
    norm, x = _known(name, dtype)
    changes = [lambda G: 1.01 * G, lambda G: 0.99 * G]
    if dtype in COMPLEX:  # (as much as half precision has of it is lost in its rounding errors)
        changes.append(lambda G: G + 0.01 * _elsewhere(G))
    for change in changes if x.any() else []:
        with monkeypatch.context() as patch:
            _wrong(patch, "gradient", change)
            assert not check_grad(x, norm, order=1, directions=2, strict=False).passed


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", ORDINARY)
def test_a_product_wrong_by_5_percent_fails(name: str, dtype: str, monkeypatch: Any) -> None:
    norm, x = _known(name, dtype)
    for change in (lambda dG: 1.05 * dG, lambda dG: dG + 0.05 * _elsewhere(dG)):
        with monkeypatch.context() as patch:
            _wrong(patch, "hessian_product", change)
            assert not x.any() or not check_grad(x, norm, directions=2, strict=False).passed


Q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
TIED_ROUNDED = {
    "low rank": np.random.default_rng(0).standard_normal((6, 2)) @ Q[:2],
    "orthogonal": Q,
    "3 3 1 1": (Q * [3, 3, 1, 1]) @ Q[::-1],
    "equal sums": Q / np.abs(Q).sum(0),
}


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy, jnp.asarray])
@pytest.mark.parametrize(
    ("name", "ord"),
    [
        ("low rank", "nuc"),
        ("orthogonal", 2),
        ("orthogonal", normgrad.KyFan(2)),
        ("3 3 1 1", 2),
        ("3 3 1 1", -2),
        ("3 3 1 1", normgrad.Squared(2)),
        ("3 3 1 1", normgrad.WeightedNuclear([2.0, 1.0])),
        ("equal sums", 1),
        ("equal sums", normgrad.Squared(1)),
    ],
    ids=str,
)
def test_ties_and_zeros_of_float32_are_ties_and_zeros(name: str, ord: Any, library: Any) -> None:
    report = check_grad(library(TIED_ROUNDED[name].astype(np.float32)), ord, directions=2)
    assert report.conclusive
    assert max(report.errors) < 1e-5


def test_a_matrix_as_a_precision_sees_it() -> None:
    A = (Q * [1, 1 - 1e-7, 0.5, 1e-8]) @ Q[::-1]
    for ord, s in ((2, [1, 1, 0.5, 0]), ("nuc", [1, 1 - 1e-7, 0.5, 0])):
        norm = normgrad.norms.ALIASES[ord]
        seen = np.linalg.svd(as_seen(norm, A, 2.0**-23))[1]
        np.testing.assert_allclose(seen, s, atol=6e-8 if ord == 2 else 1e-14)
        assert (seen[0] - seen[1] < 1e-14) == (ord == 2)
        np.testing.assert_allclose(as_seen(norm, A, 2.0**-52), A, atol=1e-15)
    for seed in range(20):  # float64 finds them tied
        rng = np.random.default_rng(seed)
        unitary = np.linalg.qr(rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)))[0]
        seen = as_seen(normgrad.Spectral(), unitary.astype(np.complex64).astype(complex), 2.0**-23)
        assert np.ptp(np.linalg.svd(seen)[1]) < 2.5e-15
    B = np.array([[1.0, -1.0], [2.0, 2.0 + 1e-7]])
    sums = np.abs(as_seen(AbsoluteSum(-2), B, 2.0**-23)).sum(0)
    assert abs(sums[0] - sums[1]) < 1e-15


def test_what_has_another_tolerance() -> None:
    """A tie that the norm is told to see is one."""
    A = np.diag([1.0, 0.995, 0.5])
    assert check_grad(A, normgrad.Spectral(tie_tol=1e-2)).passed
    assert check_grad(A, normgrad.Nuclear(rank_tol=0.6)).passed


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("ord", ["nuc", 2, "fro", 1])
def test_squares_pass_at_every_scale(ord: Any, scale: float, dtype: str) -> None:
    A = scale * np.random.default_rng(0).standard_normal((30, 20))
    x = torch.tensor(A).to(getattr(torch, dtype))
    assert check_grad(x, normgrad.Squared(ord), directions=2).conclusive


def test_a_gradient_that_overflows_fails() -> None:
    cube = normgrad.SpectralFunction(lambda s: s**3, lambda s: 3 * s**2, lambda s: 6 * s)
    x = torch.tensor([[1e3, 2e2], [0.0, 5e2]], dtype=torch.float16)
    report = check_grad(x, cube, strict=False)
    assert not report.passed


def test_smallest_sums_are_not_held_against_what_holds_for_convex_functions() -> None:
    for x in (np.eye(3), np.arange(-4.0, 5.0).reshape(3, 3), (1 + 2j) * np.eye(3)):
        for ord in (-np.inf, -1, np.inf, 1):
            for seed in range(4):
                assert check_grad(x, ord, seed=seed, directions=2).conclusive
