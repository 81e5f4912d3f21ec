"""JAX: every transform, compiled and not, with and without 64-bit floats."""

import subprocess
import sys
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import normgrad

ORDS = ["fro", "nuc", 2, 1, normgrad.Schatten(3), normgrad.KyFan(2)]
every_norm = pytest.mark.parametrize("ord", ORDS, ids=str)


def randn(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def assert_close(a: Any, b: Any, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=atol, rtol=0)


@every_norm
def test_transforms(ord: Any) -> None:
    x, E = randn(4, 3), randn(4, 3, seed=1)
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    G, dG = normgrad.grad(np.asarray(x), ord), normgrad.hvp(np.asarray(x), np.asarray(E), ord)

    value, gradient = jax.jit(jax.value_and_grad(f))(x)
    assert_close(value, normgrad.matrix_norm(np.asarray(x), ord))
    assert_close(gradient, G)
    assert_close(jax.vjp(f, x)[1](jnp.asarray(2.0))[0], 2 * G)
    assert_close(jax.jvp(jax.jit(f), (x,), (E,))[1], np.sum(G * np.asarray(E)))
    value, push = jax.linearize(jax.grad(f), x)
    assert_close(push(E), dG)
    assert_close(jax.linear_transpose(push, x)(E)[0], dG)

    H = jax.jit(jax.hessian(f))(x)
    assert_close(jnp.einsum("ijkl,kl->ij", H, E), dG)
    assert_close(jax.jacrev(jax.grad(f))(x), H)
    assert_close(jax.jacrev(jax.jacfwd(f))(x), H)
    assert_close(jax.hessian(jax.checkpoint(f))(x), H)


@every_norm
def test_vmap(ord: Any) -> None:
    x, E = randn(3, 4, 3), randn(3, 4, 3, seed=1)
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    product = lambda x, E: jax.jvp(jax.grad(f), (x,), (E,))[1]  # noqa: E731
    assert_close(jax.vmap(f, in_axes=2)(jnp.moveaxis(x, 0, 2)), f(x))
    assert_close(jax.vmap(jax.grad(f))(x), normgrad.grad(x, ord))
    dG = normgrad.hvp(x, E, ord)
    assert_close(jax.vmap(product)(x, E), dG)
    # directions batched beside the matrices, in both orders
    both = jax.vmap(jax.vmap(product, (None, 0)), (0, None))(x, E)
    assert_close(jnp.stack([both[i, i] for i in range(3)]), dG)
    both = jax.vmap(jax.vmap(product, (0, None)), (None, 0))(x, E)
    assert_close(jnp.stack([both[i, i] for i in range(3)]), dG)


@every_norm
def test_third_order_raises(ord: Any) -> None:
    x = randn(4, 3)
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    for third in (jax.jacfwd(jax.hessian(f)), jax.jacrev(jax.hessian(f))):
        with pytest.raises(normgrad.OrderError, match="second order"):
            third(x)
    # what does not depend on x is no third order
    stopped = lambda x: jnp.sum(jax.hessian(f)(jax.lax.stop_gradient(x)))  # noqa: E731
    assert_close(jax.grad(stopped)(x), 0)


def test_scan_and_control_flow() -> None:
    x = randn(4, 3)
    f = lambda x: normgrad.nuclear_norm(x)  # noqa: E731

    def descend(x: Any, _: Any) -> Any:
        return x - 0.1 * jax.grad(f)(x), f(x)

    last, values = jax.lax.scan(descend, x, None, length=4)
    assert np.all(np.diff(np.asarray(values)) < 0)
    expected = np.asarray(x)
    for _ in range(4):
        expected = expected - 0.1 * normgrad.grad(expected, "nuc")
    assert_close(last, expected)
    total = lambda x: jax.lax.scan(descend, x, None, length=4)[1].sum()  # noqa: E731
    assert np.all(np.isfinite(np.asarray(jax.grad(total)(x))))


def test_linearize_factorizes_once() -> None:
    x = randn(4, 3)
    _, push = jax.linearize(jax.grad(normgrad.nuclear_norm), x)
    text = str(jax.make_jaxpr(push)(x))
    assert "normgrad_derivative" in text
    assert "svd" not in text


def test_reverse_mode_keeps_one_matrix() -> None:
    """The residual of reverse mode is the gradient, not U, s and V."""
    x = randn(30, 20)
    pullback = jax.vjp(normgrad.nuclear_norm, x)[1]
    sizes = [leaf.size for leaf in jax.tree_util.tree_leaves(pullback) if leaf.size >= 400]
    assert sum(sizes) <= 2 * x.size
    assert max(sizes) == x.size


@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "int32"])
def test_precisions(ord: Any, dtype: str) -> None:
    x = jnp.round(randn(4, 3) * 8).astype(dtype)
    value, G = normgrad.value_and_grad(np.asarray(x.astype("complex128")), ord)
    received, gradient = normgrad.value_and_grad(x, ord)
    wanted = {"int32": "float64", "complex64": "float32"}.get(dtype, dtype)
    assert received.dtype == wanted
    assert gradient.dtype == {"int32": "float64"}.get(dtype, dtype)
    rtol = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 1e-6)
    np.testing.assert_allclose(np.asarray(received, float), value, rtol=rtol)
    np.testing.assert_allclose(np.asarray(gradient, complex), G, atol=rtol)
    if dtype != "int32":
        g = jax.grad(lambda x: normgrad.matrix_norm(x, ord).astype("float32"))(x)
        assert g.dtype == dtype


def test_without_64_bit_floats() -> None:
    code = """
import jax, jax.numpy as jnp, numpy as np, normgrad
A = np.random.default_rng(0).standard_normal((5, 3))
E = np.ones_like(A)
assert jnp.asarray(A).dtype == "float32"
for scale in (1.0, 1e-44, 1e37):
    for ord in ("fro", "nuc", 2):
        f = lambda x: normgrad.matrix_norm(x, ord)
        a, e = (np.asarray(X * scale, dtype=np.float32) for X in (A, E))
        exact = np.asarray(a, dtype=np.float64)
        for g in (f, jax.jit(f)):
            value, G = jax.value_and_grad(g)(jnp.asarray(a))
            dG = jax.jvp(jax.grad(g), (jnp.asarray(a),), (jnp.asarray(e),))[1]
            # a subnormal value is a whole number of the smallest ones
            atol = 1.5e-45 if scale < 1e-40 else 0
            want = normgrad.matrix_norm(exact, ord)
            np.testing.assert_allclose(np.float64(value), want, rtol=3e-6, atol=atol)
            np.testing.assert_allclose(G, normgrad.grad(exact, ord), atol=3e-6)
            want = normgrad.hvp(exact, np.asarray(e, dtype=np.float64), ord)
            np.testing.assert_allclose(dG, want, atol=3e-5 * max(1, abs(want).max()))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_numpy_arrays_inside_jit() -> None:
    constant = np.diag([3.0, 1.0])
    f = jax.jit(lambda x: x * normgrad.nuclear_norm(constant))
    assert_close(f(jnp.asarray(2.0)), 8.0)


@pytest.mark.parametrize("shape", [(200, 4, 4), (30, 20), (450, 450)], ids=str)
def test_products_are_not_left_to_the_precision_of_a_device(shape: Any) -> None:
    """GPUs and TPUs multiply single precision in half of it, unless a product says otherwise."""
    x = jnp.zeros(shape, jnp.float32)

    def derivatives(x: Any) -> Any:
        return (
            normgrad.value_and_grad(x, 2),
            normgrad.hvp(x, x, "nuc"),
            normgrad.prox(x, 1.0, "nuc"),
            normgrad.subgradient_distance(x, x, "nuc"),
            jax.grad(lambda x: normgrad.matrix_norm(x, "nuc").sum())(x),
        )

    program = str(jax.make_jaxpr(derivatives)(x))
    products = program.count("dot_general[")
    assert 0 < products == program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)")


@pytest.mark.parametrize("shape", ["b, 3, 3", "b, 40, 30", "2, b, 60, 4"])
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1], ids=str)
def test_a_batch_of_any_size_is_exported(ord: Any, shape: str, rng: Any) -> None:
    symbolic = jax.export.symbolic_shape(shape)
    x = jax.ShapeDtypeStruct(symbolic, jnp.float64)
    A = rng.standard_normal([n if isinstance(n, int) else 5 for n in symbolic])
    value = jax.export.export(jax.jit(lambda x: normgrad.matrix_norm(x, ord)))(x)
    np.testing.assert_allclose(value.call(A), normgrad.matrix_norm(A, ord), rtol=1e-12)
    gradient = jax.export.export(jax.jit(lambda x: normgrad.grad(x, ord)))(x)
    np.testing.assert_allclose(gradient.call(A), normgrad.grad(A, ord), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 4, 3), (60, 60)], ids=str)
def test_promotions_that_a_program_forbids(shape: Any) -> None:
    """What a user wants to be told of the user's code is no matter of ours."""
    x, E = randn(*shape), randn(*shape, seed=1)

    def results(x: Any) -> Any:
        return (
            [normgrad.value_and_grad(x, ord) for ord in (*ORDS, normgrad.WeightedNuclear((1, 2)))],
            [normgrad.prox(x, 0.5, ord) for ord in ORDS],
            [normgrad.subgradient_distance(x, E, ord) for ord in ORDS],
            normgrad.hvp(x, E, "nuc"),
            normgrad.polar(x, "iteration"),
            jax.grad(lambda x: normgrad.matrix_norm(x, 2).sum())(x),
        )

    expected = jax.eval_shape(results, x)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        assert jax.eval_shape(results, x) == expected
        value, G = normgrad.value_and_grad(x, "nuc")
        assert_close(jnp.sum(G * x, axis=(-2, -1)), value)
        if len(shape) == 2:
            assert_close(normgrad.track(x)[0], normgrad.spectral_norm(x))
