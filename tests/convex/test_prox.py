"""Proximal maps at their limits; the table of tests/conformance has the rest."""

import tracemalloc
from typing import Any

import autograd
import jax
import numpy as np
import pytest
import torch

import normgrad
from normgrad.norms import resolve
from tests.differentiators import DIFFERENTIATORS

ORDS = ["fro", "nuc", 2]


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("method", ["auto", "svd"])
@pytest.mark.parametrize("step", [0.0, 1e-20, 1e-8, 0.5, 2.0, 50.0])
def test_derivative_at_any_step(ord: Any, method: str, step: float, rng: Any) -> None:
    A, E = rng.standard_normal((2, 4, 3))
    x, t = torch.from_numpy(A), torch.tensor(step).double()
    f = lambda x, t: normgrad.prox(x, t, ord, method=method)  # noqa: E731
    dP = torch.func.jvp(f, (x, t), (torch.from_numpy(E), torch.tensor(0.3).double()))[1]
    h = 1e-6

    def at(c: float) -> Any:
        return normgrad.prox(A + c * h * E, step + c * h * 0.3, ord)

    if step < h:  # one-sided: the step is not negative
        expected = (-3 * at(0) + 4 * at(1) - at(2)) / (2 * h)
    else:
        expected = (at(1) - at(-1)) / (2 * h)
    np.testing.assert_allclose(dP.numpy(), expected, atol=5e-9)


@pytest.mark.parametrize("ord", [*ORDS, *map(normgrad.Schatten, (1.1, 1.5, 1.9, 3))], ids=str)
@pytest.mark.parametrize("step", [1e-16, 1e-17, 1e-25, 1e-200])
def test_derivative_at_steps_below_rounding(ord: Any, step: float, rng: Any) -> None:
    """The identity, where no singular value is 0 and none is tied at the top."""
    A, E = np.diag([4.0, 3.0, 3.0, 1.7, 0.6]), rng.standard_normal((5, 5))
    f = lambda x: normgrad.prox(x, step, ord)  # noqa: E731
    dP = torch.func.jvp(f, (torch.from_numpy(A),), (torch.from_numpy(E),))[1]
    np.testing.assert_allclose(dP.numpy(), E, atol=4e-15)


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize("A", [np.zeros((3, 2)), np.eye(3), np.diag([2.0, 2.0, 1.0, 0.0])], ids=str)
def test_step_0_is_the_identity(ord: Any, A: Any) -> None:
    n = A.size
    J = torch.func.jacrev(lambda x: normgrad.prox(x, 0.0, ord))(torch.from_numpy(A))
    np.testing.assert_allclose(J.reshape(n, n).numpy(), np.eye(n), atol=1e-14)


@pytest.mark.parametrize("ord", ORDS)
@pytest.mark.parametrize(
    ("scale", "step"), [(1.0, np.inf), (1e-100, 1e209), (1e-300, 1e100), (1e-310, 1e308)]
)
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
def test_steps_beyond_any_norm(engine: str, ord: Any, scale: float, step: float) -> None:
    A, library = scale * np.array([[3.0, 1.0], [0.0, 2.0]]), DIFFERENTIATORS[engine]
    np.testing.assert_array_equal(library.prox(A, step, ord), 0)
    dP = library.prox_jvp(A, step, np.ones((2, 2)), 0.0, ord)
    if dP is not None:
        np.testing.assert_array_equal(dP, 0)


def test_precision_is_that_of_the_matrix() -> None:
    A = np.ones((2, 3), dtype=np.float32)
    for engine in DIFFERENTIATORS:
        assert DIFFERENTIATORS[engine].prox(A, np.float64(0.1), "nuc").dtype == np.float32


def test_norms_that_are_others_by_another_name(rng: Any) -> None:
    A = rng.standard_normal((3, 4))
    for norm, same in (
        (normgrad.KyFan(1), 2),
        (normgrad.Schatten(1), "nuc"),
        (normgrad.Schatten(2), "fro"),
    ):
        np.testing.assert_array_equal(normgrad.prox(A, 0.5, norm), normgrad.prox(A, 0.5, same))
        np.testing.assert_array_equal(normgrad.grad(A, norm), normgrad.grad(A, same))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, normgrad.Schatten(1.5), normgrad.Schatten(3)])
def test_values_need_no_divided_differences(ord: Any) -> None:
    """The maps of k singular values take memory of the order of k alone."""
    k = 2000
    s, t = np.linspace(2.0, 1.0, k), np.asarray(0.5)
    norm = resolve(ord)
    for f in (norm.proximal, norm.projection):
        tracemalloc.start()
        f(s, t)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100 * s.nbytes  # (of k x k numbers: 2000)


def test_a_multiple_is_that_of_all_blocks(rng: Any) -> None:
    A = normgrad.BlockDiagonal([rng.standard_normal((2, 3)), rng.standard_normal((1, 2))])
    np.testing.assert_array_equal((2 * A).dense(), 2 * A.dense())
    np.testing.assert_array_equal((-A).dense(), -A.dense())


@pytest.mark.parametrize("map", [normgrad.prox, normgrad.project])
@pytest.mark.parametrize("engine", ["autograd", "torch", "jax"])
def test_the_derivative_takes_no_factorization_more(
    engine: str, map: Any, monkeypatch: Any, rng: Any
) -> None:
    from normgrad.calculus import by_singular_values

    calls: list[Any] = []
    decompose = by_singular_values.decompose
    monkeypatch.setattr(
        by_singular_values, "decompose", lambda *a, **kw: calls.append(a) or decompose(*a, **kw)
    )
    A = rng.standard_normal((9, 7))
    f = lambda x: (map(x, 1.5, "nuc") ** 2).sum()  # noqa: E731
    if engine == "torch":
        x = torch.from_numpy(A).requires_grad_()
        f(x).backward()
    elif engine == "jax":
        jax.jit(jax.grad(f)).lower(A)
    else:
        autograd.grad(f)(A)
    assert len(calls) == 1


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, normgrad.KyFan(2), normgrad.Schatten(3)], ids=str)
@pytest.mark.parametrize("s", [[3.0, 2.0, 1.0], [3.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1.0, 0.0, 0.0]])
def test_it_starts_along_the_subgradient_of_least_norm(
    ord: Any, s: Any, with_singular_values: Any
) -> None:
    A = with_singular_values(s, 4, 3)
    for norm in (ord, normgrad.Squared(ord)):
        f = lambda t: normgrad.prox(torch.from_numpy(A), t, norm)  # noqa: B023, E731
        dP = torch.func.jacfwd(f)(torch.tensor(0.0).double())
        np.testing.assert_allclose(dP.numpy(), -normgrad.grad(A, norm), atol=1e-13)
        blocks = normgrad.BlockDiagonal([torch.from_numpy(A[:2, :2]), torch.eye(1).double()])
        for block, G in zip(
            torch.func.jacfwd(lambda t: normgrad.prox(blocks, t, norm).blocks())(  # noqa: B023
                torch.tensor(0.0).double()
            ),
            normgrad.grad(blocks, norm).blocks(),
            strict=True,
        ):
            np.testing.assert_allclose(block, -G, atol=1e-13)


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, normgrad.KyFan(2), normgrad.Schatten(3)])
def test_the_ball_of_radius_0_is_a_point(ord: Any, rng: Any) -> None:
    for A in (rng.standard_normal((3, 2)), np.diag([3.0, 1.0]), np.eye(2), np.zeros((3, 2))):
        J = torch.func.jacrev(lambda x: normgrad.project(x, 0.0, ord))(torch.from_numpy(A))
        np.testing.assert_array_equal(J.numpy(), 0)


@pytest.mark.parametrize("map", [normgrad.prox, normgrad.project])
@pytest.mark.parametrize(
    "ord",
    ["nuc", 2, normgrad.KyFan(2), normgrad.KyFan(3), normgrad.WeightedNuclear([2, 1, 0.5])],
    ids=str,
)
@pytest.mark.parametrize(("shape", "rank"), [((6, 5), 2), ((4, 4), 3), ((5, 3), 1)])
def test_derivative_where_singular_values_are_zero_but_for_rounding(
    map: Any, ord: Any, shape: Any, rank: int, rng: Any
) -> None:
    """In any direction, wherever difference quotients of both sides are the same."""
    if map is normgrad.project and isinstance(ord, normgrad.WeightedNuclear):
        ord = normgrad.KyFan(1)
    for _ in range(25):
        A = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
        E, h = rng.standard_normal(shape), 1e-6
        t = rng.uniform(0.1, 1) * float(normgrad.matrix_norm(A, ord))
        point, direction = torch.from_numpy(A), torch.from_numpy(E)
        dP = torch.func.jvp(lambda x: map(x, t, ord), (point,), (direction,))[1]  # noqa: B023
        before, here, after = (map(A + c * h * E, t, ord) for c in (-1, 0, 1))
        if np.max(np.abs(after - 2 * here + before)) < 1e-3 * h:
            expected = (after - before) / (2 * h)
            np.testing.assert_allclose(dP, expected, atol=1e-4 * (1 + np.max(np.abs(expected))))


def test_derivative_of_weighted_norms_by_blocks(rng: Any) -> None:
    """Where some singular values move together, of one block or of more."""
    norm = normgrad.WeightedNuclear([2.0, 1.0, 0.0])
    d, E = torch.tensor([3.0, 2.0, 1.9]).double(), torch.from_numpy(rng.standard_normal(3))
    for form in (normgrad.Diagonal, lambda d: normgrad.BlockDiagonal([d[:2].diag(), d[2:].diag()])):
        for norm_ in (norm, normgrad.Squared(norm)):
            f = lambda d: normgrad.prox(form(d), 0.7, norm_).dense()  # noqa: B023, E731
            g = lambda d: normgrad.prox(torch.diag(d), 0.7, norm_)  # noqa: B023, E731
            found, expected = (torch.func.jvp(h, (d,), (E,))[1] for h in (f, g))
            np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, normgrad.KyFan(2), normgrad.Schatten(3)])
def test_a_ball_grows_from_radius_0_along_what_is_not_zero(ord: Any) -> None:
    for A in (np.diag([3.0, 0.0]), np.zeros((3, 2)), np.diag([3.0, 1.0, 0.0])):
        f = lambda r: normgrad.project(torch.from_numpy(A), r, ord)  # noqa: B023, E731
        dP = torch.func.jacfwd(f)(torch.tensor(0.0).double())
        np.testing.assert_allclose(dP.numpy(), normgrad.project(A, 1e-9, ord) / 1e-9, atol=1e-8)


@pytest.mark.parametrize("ord", ["nuc", 2, normgrad.KyFan(5), normgrad.Schatten(1.5)], ids=str)
@pytest.mark.parametrize("step", [1e-14, 1e-6, 1e-2, 0.5])
@pytest.mark.parametrize(
    ("s", "m"),
    [
        (np.logspace(0, -4, 150), 200),
        (np.logspace(0, -2, 40), 2000),
        (np.logspace(0, -9, 40), 2000),
        (np.linspace(1, 0.5, 9), 600),  # of rank 9, 600 x 600
    ],
    ids=["square", "long", "long, ill conditioned", "low rank"],
)
def test_by_any_factorization(
    s: Any, m: int, step: float, ord: Any, with_singular_values: Any
) -> None:
    """At rounding level, although zeros are left out and Gram matrices are taken."""
    n = 600 if m == 600 else len(s)
    A = with_singular_values(s, m, n)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    expected = (U * np.diag(normgrad.prox(np.diag(s), step, ord, method="svd"))) @ Vh
    assert np.linalg.norm(normgrad.prox(A, step, ord) - expected, 2) < 2e-14


def stacks(rng: Any) -> dict[str, Any]:
    """Return stacks of which parts take other factorizations."""
    mixed, long = rng.standard_normal((3, 20, 20)), rng.standard_normal((3, 64, 16))
    mixed[1, :, 1], long[2, :, 3] = mixed[1, :, 0], long[2, :, 1]
    flat = rng.standard_normal((2, 2, 410, 3)) @ rng.standard_normal((2, 2, 3, 405))
    return {"one of reduced rank": mixed, "long": long, "of low rank": flat}


@pytest.mark.parametrize("kind", ["one of reduced rank", "long", "of low rank"])
@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jax.numpy.asarray])
@pytest.mark.parametrize(
    ("map", "ord"),
    [
        (normgrad.prox, "nuc"),
        (normgrad.prox, 2),
        (normgrad.prox, normgrad.KyFan(2)),
        (normgrad.prox, normgrad.Schatten(3)),
        (normgrad.prox, normgrad.Squared("nuc")),
        (normgrad.project, "nuc"),
        (normgrad.project, 2),
    ],
)
def test_each_matrix_of_a_stack_has_its_own_step(
    map: Any, ord: Any, library: Any, kind: str, rng: Any
) -> None:
    A = stacks(rng)[kind]
    t = rng.uniform(0.5, 2.0, A.shape[:-2])
    expected = map(A, t, ord, method="svd")
    np.testing.assert_allclose(map(library(A), library(t), ord), expected, atol=2e-12)


@pytest.mark.parametrize("p", [1.2, 1.5, 1.9, 2.5, 3, 4, 8])
def test_schatten_on_the_sphere_up_to_rounding(p: float, rng: Any) -> None:
    norm = normgrad.Schatten(p)
    for A in rng.standard_normal((60, 3, 4)):
        if p < 2:
            P = normgrad.project(A, 1.0, norm)
            np.testing.assert_allclose(normgrad.project(P, 1.0, norm), P, atol=5e-15)
        else:
            for steps in (0, 1, 4):  # of rounding below the one from which on it is 0
                t = float(normgrad.dual_norm(A, norm)) * (1 - steps * 1.1e-16)
                np.testing.assert_allclose(normgrad.prox(A, t, norm), 0, atol=2e-14)


@pytest.mark.parametrize("p", [8, 200, 1000, 1e5])
def test_schatten_of_large_p_takes_few_steps(p: float, monkeypatch: Any) -> None:
    """Also near the dual sphere, beside tiny singular values: they change nothing else."""
    monkeypatch.setattr(normgrad.norms.power_balls, "_MOST", 15)
    A, norm = np.diag([2.0, 1.0, 0.0, 0.0]), normgrad.Schatten(p)
    t = 0.99999 * float(normgrad.dual_norm(A, norm))
    for tiny in (1e-17, 1e-40):
        P, expected = (normgrad.prox(X, t, norm) for X in (A + tiny * np.eye(4), A))
        np.testing.assert_allclose(P, expected, atol=(10 + p) * 2e-16)
        assert normgrad.dual_norm(A - P, norm) == pytest.approx(t, rel=(10 + p) * 1e-15)


@pytest.mark.parametrize(
    ("p", "dtype"), [(1000.0, "float64"), (11.0, "float32"), (3.0, "float64"), (1.5, "float64")]
)
def test_derivatives_of_both_terms_of_moreau(p: float, dtype: str, rng: Any) -> None:
    """Also where powers of singular values underflow."""
    A = torch.from_numpy(np.diag([2.9, 1.5, 0.4, 1e-5]).astype(dtype))
    E = torch.from_numpy(rng.standard_normal((4, 4)).astype(dtype))
    norm = normgrad.Schatten(p)
    t = 0.3 * float(normgrad.dual_norm(A, norm))
    left, taken = (
        torch.func.jvp(f, (A,), (E,))[1]
        for f in (
            lambda x: normgrad.prox(x, t, norm),
            lambda x: normgrad.project(x, t, norm.dual()),
        )
    )
    torch.testing.assert_close(left + taken, E, rtol=0, atol=50 * p * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("step", [5e-324, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
@pytest.mark.parametrize(
    "s", [(3, 1, 1), (2, 2, 1), (2, 1, 0), (1, 1, 1), (3, 2, 1), (4, 2, 1), (3, 3, 0)], ids=str
)
def test_derivatives_at_kinks_are_those_of_one_side(s: Any, step: float) -> None:
    """Projectors between 0 and 1, of degree 0, whose sum is the identity."""
    A, t = torch.from_numpy(np.diag(np.array(s, float))), torch.tensor(step).double()
    for ord in ("nuc", 2, normgrad.KyFan(3)):
        both = 0
        for f, norm in ((normgrad.prox, resolve(ord)), (normgrad.project, resolve(ord).dual())):
            J = torch.func.jacrev(lambda x: f(x, t, norm))(A)  # noqa: B023
            eigenvalues = torch.linalg.eigvalsh(J.reshape(9, 9))
            assert -1e-14 < eigenvalues[0] <= eigenvalues[-1] < 1 + 1e-14
            in_t = torch.func.jacfwd(lambda t: f(A, t, norm))(t)  # noqa: B023
            radial = torch.einsum("ijkl,kl->ij", J, A) + t * in_t
            torch.testing.assert_close(radial, f(A, t, norm), rtol=0, atol=1e-14)
            both = both + J.reshape(9, 9)
        torch.testing.assert_close(both, torch.eye(9).double(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("step", [1e-17, 1e-16, 4e-16, 1e-3])
def test_spectral_beside_ties_up_to_rounding(step: float, rng: Any) -> None:
    """The step is not lost in the level, from which ties are as far as from each other."""
    d = 1 - np.array([0.0, 1, 2, 5, 1e6]) * 2.0**-53
    A, E = torch.from_numpy(np.diag(d)), torch.from_numpy(rng.standard_normal((5, 5)))
    left, taken = (
        torch.func.jvp(lambda x: f(x, step, ord), (A,), (E,))[1]  # noqa: B023
        for f, ord in ((normgrad.prox, 2), (normgrad.project, "nuc"))
    )
    torch.testing.assert_close(left + taken, E, rtol=0, atol=1e-14)


@pytest.mark.parametrize("fraction", [1e-30, 1e-16, 1e-3, 0.5])
def test_ky_fan_of_two_ties(fraction: float) -> None:
    """Here every level but one is two at once: precise relative to the radius all the same."""
    P = normgrad.project(np.diag([2.0, 2.0, 1.0, 1.0]), 5 * fraction, normgrad.KyFan(3))
    np.testing.assert_allclose(np.diag(P), np.array([2, 2, 1, 1]) * fraction, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ky_fan_near_the_sphere(dtype: str) -> None:
    """With fewer than k singular values the ball is the nuclear one; none becomes negative."""
    A = np.diag([2.0, 1.0, 0.0, 0.0]).astype(dtype)
    r = 3 - 40 * float(np.finfo(dtype).eps)
    P, expected = (normgrad.project(A, r, o) for o in (normgrad.KyFan(3), "nuc"))
    np.testing.assert_array_equal(P, expected)
    assert np.min(P) >= 0
