"""Pure functions for JAX: under jit, grad and vmap, on pytrees of any kind."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

import normgrad
from normgrad.nn.jax import lipschitz_bound, penalty, spectral_normalise


def test_capped_and_differentiable(rng: Any) -> None:
    """To second order, against differences of an SVD."""
    W, E, C = rng.standard_normal((3, 5, 4))

    def f(W: Any) -> Any:
        return jnp.sum(C * spectral_normalise(W, bound=0.5, mode="cap")[0])

    both = jax.jit(lambda W, E: (f(W), *jax.jvp(jax.grad(f), (W,), (E,))))
    exact = lambda W: np.sum(C * W) * 0.5 / np.linalg.norm(W, 2)  # noqa: E731
    value, G, product = both(W, E)
    assert float(value) == pytest.approx(exact(W), rel=1e-12)
    h = 1e-6
    slope = (exact(W + h * E) - exact(W - h * E)) / (2 * h)
    assert float(jnp.sum(G * E)) == pytest.approx(slope, rel=1e-6)
    difference = (both(W + h * E, E)[1] - both(W - h * E, E)[1]) / (2 * h)
    np.testing.assert_allclose(product, difference, rtol=1e-5, atol=1e-7)


def test_zero_and_cap_below_the_bound(rng: Any) -> None:
    f = jax.jit(jax.value_and_grad(lambda W: spectral_normalise(W, bound=2.0)[0].sum()))
    value, G = f(jnp.zeros((3, 2)))
    assert float(value) == 0
    np.testing.assert_array_equal(G, 2)
    W = jnp.asarray(rng.standard_normal((3, 2)), dtype=jnp.bfloat16)
    low = spectral_normalise(W, bound=100, mode="cap")[0]
    assert low.dtype == jnp.bfloat16
    assert jnp.array_equal(low, W)


def test_a_training_loop_keeps_the_bound(rng: Any) -> None:
    X, Y = jnp.asarray(rng.standard_normal((40, 6))), jnp.asarray(rng.standard_normal((40, 5)))

    @jax.jit
    def step(W: Any, state: Any) -> Any:
        def loss(W: Any) -> Any:
            W_bar, after = spectral_normalise(W, state, tol=1e-3)
            return jnp.mean((X @ W_bar - Y) ** 2), (W_bar, after)

        g, (W_bar, after) = jax.grad(loss, has_aux=True)(W)
        return W - 0.5 * g, after, W_bar

    W = jnp.asarray(rng.standard_normal((6, 5)))
    state = jnp.zeros((5, 5))  # (that of no vectors)
    for _ in range(10):
        W, state, W_bar = step(W, state)
        assert float(np.linalg.norm(W_bar, 2)) == pytest.approx(1, rel=1e-3)


def test_vmap(rng: Any) -> None:
    stack = jnp.asarray(rng.standard_normal((3, 4, 2)))
    W_bar, states = jax.jit(jax.vmap(spectral_normalise))(stack)
    np.testing.assert_allclose(np.linalg.norm(W_bar, 2, axis=(1, 2)), 1, rtol=1e-12)
    assert states.shape == (3, 2, 2)


@jax.tree_util.register_pytree_with_keys_class
@dataclass
class Model:
    """A tree as equinox has it: arrays and functions are its leaves."""

    weight: Any
    bias: Any
    activation: Any

    def tree_flatten_with_keys(self) -> Any:
        key = jax.tree_util.GetAttrKey
        return [(key(name), value) for name, value in vars(self).items()], None

    @classmethod
    def tree_unflatten(cls, _: Any, children: Any) -> Any:
        return cls(*children)


def test_penalty_on_trees(rng: Any) -> None:
    """Nested dictionaries as flax has them, and modules as equinox has them."""
    A, B, K = (rng.standard_normal(shape) for shape in ((4, 3), (2, 4), (3, 3, 2, 5)))
    params = {"params": {"dense": {"kernel": A, "bias": np.ones(3)}}, "steps": np.ones((2, 2), int)}
    model = [Model(jnp.asarray(B), jnp.ones(2), jax.nn.relu), params]
    expected = np.linalg.norm(A, "nuc") + np.linalg.norm(B, "nuc")
    assert float(penalty(model)) == pytest.approx(expected, rel=1e-12)
    tree = {"dense": A, "conv": {"kernel": K}}
    with pytest.raises(ValueError, match=r"params\['conv'\]\['kernel'\] has shape \(3, 3, 2, 5\)"):
        penalty(tree)
    alone = penalty(tree, 2, lambda path, array: "conv" not in path)
    assert float(alone) == pytest.approx(np.linalg.norm(A, 2))
    batch = np.linalg.norm(K, 2, axis=(2, 3)).sum()
    assert float(penalty(tree, 2, lambda path, array: array.ndim == 4)) == pytest.approx(batch)
    G = jax.jit(jax.grad(penalty))({"dense": jnp.asarray(A), "bias": jnp.ones(2)})
    np.testing.assert_allclose(G["dense"], normgrad.grad(A, "nuc"), atol=1e-12)
    assert not G["bias"].any()


def test_lipschitz_bound(rng: Any) -> None:
    A, B = (jnp.asarray(rng.standard_normal(shape)) for shape in ((4, 3), (2, 4)))
    expected = 0.25 * np.linalg.norm(A, 2) * np.linalg.norm(B, 2)
    f = jax.jit(jax.value_and_grad(lambda A: lipschitz_bound([A, B], 0.25)))
    value, G = f(A)
    assert float(value) == pytest.approx(expected, rel=1e-12)
    assert float(jnp.sum(G * A)) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"batch of shape \(3,\)"):
        lipschitz_bound([jnp.ones((3, 2, 2))])


def test_matrices_that_are_trees(rng: Any) -> None:
    """Each is one matrix, not those of which it is made."""
    A, B, d, k = (rng.standard_normal(shape) for shape in ((4, 3), (3, 4), 5, (2, 1, 3, 3)))
    S = A * (A > 0)
    params: Any = {
        "pair": [normgrad.LowRank(jnp.asarray(A), jnp.asarray(B)), normgrad.Kronecker(A, B)],
        "diagonal": normgrad.Diagonal(jnp.asarray(d)),
        "convolution": normgrad.Convolution2d(jnp.asarray(k), (4, 4)),
        "sparse": BCOO.fromdense(jnp.asarray(S)),
        "bias": jnp.ones(3),
    }
    K = np.asarray(params["convolution"].dense())
    norms = {
        "['pair'][0]": np.linalg.norm(A @ B, "nuc"),
        "['pair'][1]": np.linalg.norm(np.kron(A, B), "nuc"),
        "['diagonal']": np.abs(d).sum(),
        "['convolution']": np.linalg.norm(K, "nuc"),
        "['sparse']": np.linalg.norm(S, "nuc"),
    }
    value, G = jax.jit(jax.value_and_grad(penalty, allow_int=True))(params)
    assert float(value) == pytest.approx(sum(norms.values()), rel=1e-12)
    np.testing.assert_allclose(G["diagonal"].diagonal, np.sign(d), atol=1e-12)
    stored = normgrad.grad(S, "nuc")[tuple(params["sparse"].indices.T)]
    np.testing.assert_allclose(G["sparse"].data, stored, atol=1e-12)
    for name, norm in norms.items():
        alone = penalty(params, "nuc", lambda path, matrix, name=name: path == name)
        assert float(alone) == pytest.approx(norm, rel=1e-12)
    with pytest.raises(ValueError, match=r"params\[0\] has shape \(2, 3, 3\)"):
        penalty([normgrad.Diagonal(jnp.ones((2, 3)))])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_computed_in_single(dtype: Any) -> None:
    W = jnp.asarray(np.diag([300.0, 1, 1]), dtype)
    D, S = normgrad.Diagonal(jnp.diagonal(W)), BCOO.fromdense(W)
    exact = float(W[0, 0])
    for A in (W, np.asarray(W), D, S):
        assert float(lipschitz_bound([A, A])) == pytest.approx(exact**2, rel=1e-6)
        total = penalty([A] * 300, 2)
        assert float(total) == pytest.approx(300 * exact, rel=1e-6)
    assert jax.grad(lambda W: lipschitz_bound([W, W]))(W).dtype == dtype


def test_wrong_use() -> None:
    f: Any
    for f in (spectral_normalise, lipschitz_bound):
        with pytest.raises(TypeError, match=r"dict with the keys \['w'\]. Pass its arrays"):
            f({"w": jnp.eye(2)})
    with pytest.raises(ValueError, match="mode='clip'"):
        spectral_normalise(jnp.eye(2), mode="clip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bound"):
        spectral_normalise(jnp.eye(2), bound=-1)
    with pytest.raises(ValueError, match="one matrix"):
        spectral_normalise(jnp.ones((2, 2, 2)))


def test_integers_and_single_matrices_are_refused() -> None:
    with pytest.raises(TypeError, match="int32"):
        spectral_normalise(jnp.ones((2, 2), jnp.int32))
    for one in (jnp.ones((3, 5)), normgrad.Diagonal(jnp.ones(3))):
        with pytest.raises(TypeError, match=r"pass \[matrix\]"):
            lipschitz_bound(one)
    with pytest.raises(ValueError, match="not negative"):
        lipschitz_bound([jnp.ones((3, 5))], factor=-1)
