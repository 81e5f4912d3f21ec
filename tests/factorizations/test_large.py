"""The factorizations for larger matrices, at the sizes where they take over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.factorizations import Demand
from normgrad.factorizations.gram import Gram
from normgrad.factorizations.lanczos import Lanczos
from tests.conftest import orthonormal

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "jax": jnp.asarray}


def known(rng: Any, m: int, n: int, s: Any, is_complex: bool = False) -> tuple[Any, Any, Any]:
    """Return a matrix with these leading singular values, and its vectors."""
    s = np.asarray(s, dtype=float)
    U, V = (orthonormal(rng, size, len(s), is_complex) for size in (m, n))
    return (U * s) @ V.conj().T, U, V


def spectrum(kind: str, k: int) -> Any:
    """Return singular values, and how many of them are tied at the top."""
    rest = np.linspace(1.8, 0.1, k)
    return {
        "simple": (np.r_[2, rest[1:]], 1),
        "decaying": (1 / np.sqrt(1 + np.arange(k)), 1),
        "double": (np.r_[2, 2, rest[2:]], 2),
        "triple": (np.r_[2, 2, 2, rest[3:]], 3),
        "fast, double": (np.r_[2, 2, 2 * 0.5 ** np.arange(1, k - 1)], 2),
    }[kind]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(399, 399), (400, 420), (520, 400), (1030, 1024)], ids=str)
@pytest.mark.parametrize("kind", ["simple", "decaying", "double", "triple", "fast, double"])
def test_the_spectral_norm_by_products(kind: str, shape: Any, library: str, rng: Any) -> None:
    """Value and least-norm gradient where the methods switch, ties of any multiplicity included."""
    s, tied = spectrum(kind, min(shape))
    A, U, V = known(rng, *shape, s)
    value, G = normgrad.value_and_grad(LIBRARIES[library](A), 2)
    assert float(value) == pytest.approx(s[0], rel=4e-15)
    np.testing.assert_allclose(np.asarray(G), U[:, :tied] @ V[:, :tied].T / tied, atol=1e-13)
    account = normgrad.explain(LIBRARIES[library](A), 2)
    assert account.factorization == ("lanczos" if min(shape) >= 400 else "gram")
    if account.factorization == "lanczos":
        assert ("no tie" if tied == 1 else f"{tied - 1} vectors tied") in account.reason


@pytest.mark.parametrize("kind", ["simple", "triple"])
def test_in_single_precision_and_complex(kind: str, rng: Any) -> None:
    s, tied = spectrum(kind, 400)
    A, U, V = known(rng, 450, 400, s, is_complex=True)
    G = U[:, :tied] @ V[:, :tied].conj().T / tied
    for dtype, tol in ((np.complex128, 1e-13), (np.complex64, 2e-5)):
        value, received = normgrad.value_and_grad(A.astype(dtype), 2)
        assert float(value) == pytest.approx(2, rel=tol)
        np.testing.assert_allclose(received, G, atol=tol)
    value, received = normgrad.value_and_grad(A.real.astype(np.float32), 2)
    assert float(value) == pytest.approx(np.linalg.norm(A.real, 2), rel=1e-6)


def test_ties_are_never_missed(rng: Any) -> None:
    """Matrices with a tie, and as many without."""
    n, s = 400, np.r_[3, 3, np.linspace(2.9, 0.1, 398)]
    demand = Demand(1, 1e-13, 1e-13)
    U, V = orthonormal(rng, n, n), orthonormal(rng, n, n)
    for i in range(30):
        P = rng.permutation(n)
        A = (U[:, P] * s) @ V[:, P].T
        outcome = Lanczos().factorize(A, demand)
        assert outcome.holds
        assert "1 vectors tied" in outcome.reason
        B = rng.standard_normal((n, n)) if i % 2 else (U[:, P] * np.r_[3, s[2:], 0]) @ V.T
        assert "no tie" in Lanczos().factorize(B, demand).reason


def test_what_lanczos_gives_up_goes_on(rng: Any) -> None:
    """More ties than are worth while, and gaps too small to converge: another factorization."""
    Q = orthonormal(rng, 400, 400)
    account = normgrad.explain(3 * Q, 2)
    assert account.factorization == "gram"
    assert "lanczos: no, no convergence" in str(account)
    np.testing.assert_allclose(normgrad.grad(3 * Q, 2), Q / 400, atol=1e-14)
    with pytest.raises(ValueError, match=r"no convergence.*method='auto'"):
        normgrad.matrix_norm(3 * Q, 2, method="lanczos")
    crowded, U, V = known(rng, 400, 400, np.r_[2, 2 - 1e-9 * np.arange(1, 400)])
    G = normgrad.grad(crowded, normgrad.Spectral(tie_tol=1e-3))
    np.testing.assert_allclose(G, U @ V.T / 400, atol=1e-12)
    simple = normgrad.grad(crowded, 2) - np.outer(U[:, 0], V[:, 0])
    assert np.linalg.norm(simple) <= 1e-15 / 1e-9 * 20


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_ky_fan(library: str, rng: Any) -> None:
    s = np.r_[5, 4, 3, 3, 3, np.linspace(2, 0.1, 395)]
    A, U, V = known(rng, 400, 450, s)
    for k, weights in ((2, [1, 1]), (4, [1, 1, 2 / 3, 2 / 3, 2 / 3])):
        value, G = normgrad.value_and_grad(LIBRARIES[library](A), normgrad.KyFan(k))
        assert float(value) == pytest.approx(s[:k].sum(), rel=1e-14)
        t = len(weights)
        np.testing.assert_allclose(np.asarray(G), (U[:, :t] * weights) @ V[:, :t].T, atol=1e-13)
    small, _, _ = known(rng, 400, 400, 10.0 ** -np.arange(400.0))
    assert normgrad.explain(small, normgrad.KyFan(3)).factorization not in ("lanczos", "gram")


def test_a_krylov_space_that_is_exhausted(rng: Any) -> None:
    """A permutation has one singular value: a run sees one vector, and the next ones too."""
    P = np.eye(512)[rng.permutation(512)]
    for norm in (normgrad.KyFan(9), normgrad.KyFan(10), 2):
        value, G = normgrad.value_and_grad(P, norm)
        k = getattr(norm, "k", 1)
        assert float(value) == pytest.approx(k)
        np.testing.assert_allclose(G, P * k / 512, atol=1e-13)
    value, G = normgrad.value_and_grad(jnp.asarray(P), normgrad.KyFan(5))
    assert float(value) == pytest.approx(5)
    np.testing.assert_allclose(G, P * 5 / 512, atol=1e-13)
    wide = normgrad.Spectral(tie_tol=0.5)
    A, U, V = known(rng, 450, 450, spectrum("decaying", 450)[0])
    np.testing.assert_allclose(
        normgrad.grad(torch.asarray(A), wide).numpy(), U[:, :4] @ V[:, :4].T / 4, atol=1e-12
    )


def test_second_order_of_a_batch_of_the_smallest(rng: Any) -> None:
    """The closed form has no vectors: the second derivative takes another factorization."""
    X, E = rng.standard_normal((2, 5, 2, 2))
    received = normgrad.hvp(jnp.asarray(X), jnp.asarray(E), "nuc")
    np.testing.assert_allclose(received, normgrad.hvp(X, E, "nuc"), atol=1e-13)
    each = [normgrad.hvp(M, D, "nuc") for M, D in zip(X, E, strict=True)]
    np.testing.assert_allclose(received, each, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-250, 1e120, 1e300])
def test_scales(scale: float, rng: Any) -> None:
    s, _ = spectrum("simple", 400)
    A, U, V = known(rng, 400, 400, s)
    value, G = normgrad.value_and_grad(A * scale, 2)
    assert float(value) == pytest.approx(2 * scale, rel=1e-14)
    np.testing.assert_allclose(G, np.outer(U[:, 0], V[:, 0]), atol=1e-13)


def test_the_same_bits_every_time(rng: Any) -> None:
    A = rng.standard_normal((400, 400))
    first, second = (normgrad.value_and_grad(A, 2)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_pytorch_compiled_mapped_and_twice(rng: Any) -> None:
    """fullgraph, torch.func and double backward where the first derivative is iterative."""
    s, _ = spectrum("simple", 400)
    A, U, V = known(rng, 400, 400, s)
    x, E = torch.asarray(A), torch.asarray(rng.standard_normal((400, 400)))
    G = torch.asarray(np.outer(U[:, 0], V[:, 0]))
    y = x.clone().requires_grad_()
    torch.compile(lambda x: normgrad.spectral_norm(x) ** 2, fullgraph=True)(y).backward()
    torch.testing.assert_close(y.grad, 4 * G, atol=1e-12, rtol=0)
    stack = torch.stack([x, 2 * x])
    both = torch.func.vmap(torch.func.grad(normgrad.spectral_norm))(stack)
    torch.testing.assert_close(both, torch.stack([G, G]), atol=1e-13, rtol=0)
    y = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(normgrad.spectral_norm(y), y, create_graph=True)
    (dG,) = torch.autograd.grad(g, y, E)
    expected = normgrad.hvp(A, E.numpy(), 2, method="svd")
    np.testing.assert_allclose(dG.numpy(), expected, atol=1e-11)


def test_jax_compiled_mapped_and_twice(rng: Any) -> None:
    A, U, V = known(rng, 400, 410, spectrum("double", 400)[0])
    B, W, Z = known(rng, 400, 410, spectrum("simple", 400)[0])
    compiled = jax.jit(jax.value_and_grad(lambda x: normgrad.matrix_norm(x, 2)))
    norm = lambda x: jax.block_until_ready(compiled(x))  # noqa: E731
    a, b = jnp.asarray(A), jnp.asarray(B)
    value, G = norm(a)
    assert float(value) == pytest.approx(2, rel=1e-14)
    np.testing.assert_allclose(G, U[:, :2] @ V[:, :2].T / 2, atol=1e-13)
    account = normgrad.explain(a, 2)
    assert account.factorization == "lanczos"
    stack = jnp.stack([a, b])
    mapped = jax.vmap(compiled)
    values, gradients = jax.block_until_ready(mapped(stack))
    np.testing.assert_allclose(values, [2, 2], rtol=1e-14)
    np.testing.assert_allclose(gradients[1], np.outer(W[:, 0], Z[:, 0]), atol=1e-13)
    # a mapped matrix is one of a batch: nothing is iterated, nor done in two ways
    assert "while" in str(jax.make_jaxpr(compiled)(a))
    assert "while" not in str(jax.make_jaxpr(mapped)(stack))
    E = rng.standard_normal(B.shape)
    e = jnp.asarray(E)
    _, dG = jax.block_until_ready(jax.jvp(jax.grad(normgrad.spectral_norm), (b,), (e,)))
    np.testing.assert_allclose(dG, normgrad.hvp(B, E, 2, method="svd"), atol=1e-11)


# --- Gram matrices ---


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (64, 64), (130, 130)], ids=str)
@pytest.mark.parametrize("condition", [2.0, 1e3, 2e4, 1e7, 1e12])
@pytest.mark.parametrize("ord", ["nuc", normgrad.Schatten(3), normgrad.Schatten(1.5)], ids=str)
def test_as_accurate_as_an_svd(
    ord: Any, condition: float, shape: Any, library: str, rng: Any
) -> None:
    """From a condition number of 1 to 1e12, through every road: a small multiple of its error."""
    k = min(shape)
    s = np.geomspace(1, 1 / condition, k)
    A, U, V = known(rng, *shape, s)
    p = getattr(ord, "p", 1)
    phi = np.sum(s**p) ** (1 / p)
    value, G = normgrad.value_and_grad(LIBRARIES[library](A), ord)
    assert float(value) == pytest.approx(phi, rel=1e-14)
    exact = (U * (s / phi) ** (p - 1)) @ V.T
    by_svd = np.linalg.norm(normgrad.grad(A, ord, method="svd") - exact)
    assert np.linalg.norm(np.asarray(G) - exact) <= 5 * by_svd + 1e-14


@pytest.mark.parametrize("condition", [2.0, 1e3, 1e6])
@pytest.mark.parametrize("shape", [(3000, 20), (20, 300), (100, 100)], ids=str)
def test_single_precision_by_way_of_double(shape: Any, condition: float, rng: Any) -> None:
    """The rounded matrix has the gradient that its own SVD in double precision gives."""
    s = np.geomspace(1, 1 / condition, min(shape))
    A = known(rng, *shape, s)[0].astype(np.float32)
    assert normgrad.explain(A, "nuc").factorization == "gram"
    rank_tol = 8 * max(shape) ** 0.5 * 1.2e-7
    expected, exact = normgrad.value_and_grad(
        A.astype(np.float64), normgrad.Nuclear(rank_tol), method="svd"
    )
    for library in ("numpy", "torch"):
        value, G = normgrad.value_and_grad(LIBRARIES[library](A), "nuc")
        assert float(value) == pytest.approx(float(expected), rel=2e-7)
        np.testing.assert_allclose(np.asarray(G), exact, atol=1e-5 if condition > 1e5 else 1e-6)


def test_a_batch_takes_each_road(rng: Any) -> None:
    """Only the matrices that fail the test of one factorization go on to the next."""
    k = 24
    spectra = [np.ones(k), np.geomspace(1, 1e-3, k), np.geomspace(1, 1e-11, k)]
    made = [known(rng, k, k, s) for s in spectra]
    A = np.stack([M for M, _, _ in made])
    holds = Gram().factorize(A, Demand(k, 1e-13, 1e-13)).holds
    assert holds.tolist() == [True, True, False]
    for library in ("numpy", "torch"):
        values, G = normgrad.value_and_grad(LIBRARIES[library](A), "nuc")
        np.testing.assert_allclose(np.asarray(values), [s.sum() for s in spectra], rtol=1e-14)
        for i, (_, U, V) in enumerate(made[:2]):
            np.testing.assert_allclose(np.asarray(G)[i], U @ V.T, atol=1e-12)
    single = normgrad.grad(A[2], "nuc", method="svd")
    np.testing.assert_allclose(np.asarray(G)[2], single, atol=1e-4)


def test_roads_under_jit(rng: Any) -> None:
    """What is decided from entries is decided when the compiled function runs."""
    f = jax.jit(jax.value_and_grad(lambda x: normgrad.matrix_norm(x, "nuc")))
    for condition in (10.0, 1e9):
        A, U, V = known(rng, 96, 24, np.geomspace(1, 1 / condition, 24))
        a = jnp.asarray(A)
        value, G = jax.block_until_ready(f(a))
        assert float(value) == pytest.approx(np.geomspace(1, 1 / condition, 24).sum(), rel=1e-13)
        np.testing.assert_allclose(G, U @ V.T, atol=1e-14 * condition + 1e-13)


# --- sketches ---


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("rank", [1, 20, 38, 45])
def test_low_rank(rank: int, library: str, rng: Any) -> None:
    s = np.linspace(2, 1, rank)
    A, U, V = known(rng, 400, 430, s)
    x = LIBRARIES[library](A)
    account = normgrad.explain(x, "nuc")
    assert (account.factorization == "randomized") == (rank <= 40)
    for ord, mu in (("nuc", np.ones(rank)), (normgrad.Schatten(3), (s / np.cbrt(sum(s**3))) ** 2)):
        value, G = normgrad.value_and_grad(x, ord)
        assert float(value) == pytest.approx(sum(s) if ord == "nuc" else np.cbrt(sum(s**3)))
        np.testing.assert_allclose(np.asarray(G), (U * mu) @ V.T, atol=1e-13)


def test_a_full_rank_is_not_mistaken(rng: Any) -> None:
    """A tail just above rounding, which a sketch of the leading part would miss."""
    s = np.r_[np.ones(20), np.full(380, 1e-11)]
    A, _, _ = known(rng, 400, 400, s)
    value, G = normgrad.value_and_grad(A, "nuc")
    assert float(value) == pytest.approx(s.sum(), rel=1e-14)
    assert np.linalg.norm(G) == pytest.approx(20, rel=1e-6)
    assert normgrad.explain(A, "nuc").factorization != "randomized"


def test_truncated_on_request(rng: Any) -> None:
    """With a tolerance given, and asked for by name: the bound holds."""
    s = np.r_[np.linspace(2, 1, 15), np.full(85, 1e-4)]
    A, U, V = known(rng, 100, 120, s)
    norm = normgrad.Nuclear(rank_tol=1e-2)
    value, G = normgrad.value_and_grad(A, norm, method="randomized")
    reason = normgrad.explain(A, norm, method="randomized").reason
    bound = float(reason.rsplit(" ", 1)[1])
    assert 0 < s.sum() - float(value) <= bound * float(value)
    np.testing.assert_allclose(G, U[:, :15] @ V[:, :15].T, atol=1e-4)
