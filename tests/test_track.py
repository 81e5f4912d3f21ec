"""The spectral norm of a moving matrix, and many Hessian products at one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "jax": jnp.asarray}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (3, 2), (1, 5)], ids=str)
@pytest.mark.parametrize("is_complex", [False, True])
def test_follows_a_moving_matrix(library: str, shape: Any, is_complex: bool, rng: Any) -> None:
    """Each step is as accurate as a fresh one, whatever the state came from."""
    A, E = rng.standard_normal((2, *shape)) + (1j * rng.standard_normal((2, *shape)) * is_complex)
    if not is_complex:
        A, E = A.real, E.real
    state = None
    for step in (0, 1e-6, 1e-3, 1.0):
        X = A + step * E
        value, G, state = normgrad.track(LIBRARIES[library](X), state)
        expected, gradient = normgrad.value_and_grad(X, 2)
        assert float(value) == pytest.approx(float(expected), rel=1e-13)
        np.testing.assert_allclose(np.asarray(G), gradient, atol=1e-11)


def test_a_close_state_costs_one_step(rng: Any, monkeypatch: Any) -> None:
    """Two products with a block, and no run, if the tolerance allows; else a run."""
    from normgrad.factorizations import tracking

    runs = []
    run = tracking.largest_eigenvectors
    monkeypatch.setattr(tracking, "largest_eigenvectors", lambda *a: runs.append(a) or run(*a))
    A = rng.standard_normal((80, 80)) + 5 * np.outer(*rng.standard_normal((2, 80))) / 10
    _, _, state = normgrad.track(A)
    assert len(runs) == 1
    for _ in range(5):
        A = A + 1e-5 * rng.standard_normal(A.shape)
        value, _, state = normgrad.track(A, state, tol=1e-3)
    assert len(runs) == 1
    assert float(value) == pytest.approx(np.linalg.norm(A, 2), rel=1e-5)
    normgrad.track(rng.standard_normal((80, 80)), state, tol=1e-3)
    assert len(runs) == 2


def test_the_second_may_overtake_the_first() -> None:
    state = None
    for t in np.linspace(0, 1, 11):
        value, _, state = normgrad.track(np.diag([3.0 - t, 2.0 + t, 1.0, 0.5]), state, tol=1e-2)
        assert float(value) == pytest.approx(max(3 - t, 2 + t), rel=1e-3)


def test_descent_of_the_norm_itself(rng: Any) -> None:
    """It moves the matrix along what is followed alone, so that others overtake unseen."""
    W, state = rng.standard_normal((100, 80)), None
    for _ in range(400):
        value, G, state = normgrad.track(W, state, tol=1e-3)
        assert float(value) == pytest.approx(np.linalg.norm(W, 2), rel=1e-5)
        W = W - 0.01 * G


def test_a_jump_of_what_is_orthogonal(with_singular_values: Any, rng: Any) -> None:
    A = with_singular_values([3.0, 2.9, *np.linspace(2.8, 0.1, 28)], 50, 30)
    state = normgrad.track(A)[2]
    U, s, Vh = np.linalg.svd(A)
    A = A + 7 * np.outer(U[:, 25], Vh[25])
    for _ in range(3):  # after two calls at most
        value, _, state = normgrad.track(A, state)
    assert float(value) == pytest.approx(7 + s[25], rel=1e-13)


def test_in_a_compiled_step(rng: Any) -> None:
    A = jnp.asarray(rng.standard_normal((30, 20)), dtype=jnp.float32)

    step = jax.jit(lambda A, state: normgrad.track(A, state, tol=1e-3))
    state, values = normgrad.track(A)[2], []
    for t in jnp.linspace(0, 1, 5, dtype=jnp.float32):
        value, _, state = jax.block_until_ready(step(A * (1 + t), state))
        values.append(float(value))
    expected = np.linalg.norm(np.asarray(A), 2) * np.linspace(1, 2, 5)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_zero_nan_and_huge() -> None:
    value, G, _ = normgrad.track(np.zeros((4, 3)))
    assert float(value) == 0
    assert not np.any(G)
    value, G, _ = normgrad.track(np.full((4, 3), np.nan))
    assert np.isnan(value)
    assert np.all(np.isnan(G))
    assert float(normgrad.track(1e300 * np.eye(3, 4))[0]) == pytest.approx(1e300)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="one matrix"):
        normgrad.track(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="tol"):
        normgrad.track(np.ones((3, 4)), tol=-1)
    with pytest.raises(TypeError, match="tol"):
        normgrad.track(np.ones((3, 4)), tol="small")
    with pytest.raises(ValueError, match="state of shape"):
        normgrad.track(np.ones((3, 4)), np.ones((4, 3)))
    with pytest.raises(TypeError, match="array"):
        normgrad.track(np.ones((3, 4)), "state")
    with pytest.raises(TypeError, match="by keyword, as tol="):
        normgrad.track(np.ones((3, 4)), 1e-3)
    with pytest.raises(TypeError, match="one of numpy"):
        normgrad.track(np.ones((3, 4)), torch.ones(3, 3))


def test_a_state_of_another_kind_is_taken_for_what_it_is(rng: Any) -> None:
    """Another precision is converted; NaN is no help, and does no harm."""
    A = rng.standard_normal((6, 4))
    for state in (normgrad.track(A)[2].astype(np.float32), np.full((4, 4), np.nan)):
        value, _, after = normgrad.track(A, state)
        assert float(value) == pytest.approx(np.linalg.norm(A, 2), rel=1e-13)
        assert after.dtype == A.dtype
    mixed, _, _ = normgrad.track(torch.asarray(A), normgrad.track(A)[2])
    assert float(mixed) == pytest.approx(np.linalg.norm(A, 2), rel=1e-13)
