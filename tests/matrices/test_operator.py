"""Operators: against arrays written down independently, and circulants known in closed form."""

from typing import Any

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
import torch

import normgrad
from normgrad import LowRank, Operator, matrix_norm, value_and_grad
from normgrad.testing import check_adjoint

NORMS = ["nuc", 2, "fro", 1, normgrad.Schatten(3), normgrad.KyFan(2)]
M, N = 5, 4
_rng = np.random.default_rng(1)
W, X = _rng.standard_normal((2, M, N))
PARAMS = (_rng.standard_normal(2), _rng.standard_normal((1, 3)))
E = tuple(_rng.standard_normal(p.shape) for p in PARAMS)
LIBRARIES = {"torch": torch.tensor, "jax": jnp.asarray, "numpy": np.asarray, "autograd": np.asarray}


def _dense(s: Any, t: Any, xp: Any = np, W: Any = W, X: Any = X) -> Any:
    """A matrix that depends on its parameters nonlinearly."""
    return xp.exp(s[0]) * W + s[1] * xp.sin(t[0, 2]) * X


def _matvec(library: str) -> Any:
    xp = {"torch": torch, "jax": jnp, "numpy": np, "autograd": anp}[library]
    A, B = map(LIBRARIES[library], (W, X))
    return lambda v, s, t: xp.exp(s[0]) * (A @ v) + s[1] * xp.sin(t[0, 2]) * (B @ v)


def _expected(ord: Any) -> Any:
    """Value, gradient and Hessian product by JAX, through the array."""
    f = lambda p: matrix_norm(_dense(*p, jnp), ord)  # noqa: E731
    p, e = (tuple(map(jnp.asarray, x)) for x in (PARAMS, E))
    return _all_of_jax(f)(p, e)


def _all_of_jax(f: Any) -> Any:
    """Return a compiled function: value, gradient and Hessian product."""

    def of(p: Any, e: Any) -> Any:
        gradient, product = jax.jvp(jax.grad(f), (p,), (e,))
        return f(p), gradient, product

    return jax.jit(of)


def assert_close(received: Any, expected: Any) -> None:
    for r, x in zip(received, expected, strict=True):
        r = r.detach().numpy() if isinstance(r, torch.Tensor) else r
        np.testing.assert_allclose(r, x, atol=1e-12)


@pytest.mark.parametrize("ord", NORMS, ids=str)
def test_torch(ord: Any) -> None:
    value, gradient, product = _expected(ord)
    p = tuple(torch.tensor(x, requires_grad=True) for x in PARAMS)
    A = Operator(_matvec("torch"), (M, N), p)
    received = matrix_norm(A, ord)
    G = torch.autograd.grad(received, p, create_graph=True)
    along = sum((g * torch.tensor(e)).sum() for g, e in zip(G, E, strict=True))
    assert_close([received], [value])
    assert_close(G, gradient)
    assert_close(torch.autograd.grad(along, p), product)
    assert_close(normgrad.hvp(A, A.with_params(tuple(map(torch.tensor, E))), ord).params, product)


@pytest.mark.parametrize("ord", ["nuc", 2])
def test_jax(ord: Any) -> None:
    value, gradient, product = _expected(ord)
    f = lambda p: matrix_norm(Operator(_matvec("jax"), (M, N), p), ord)  # noqa: E731
    p, e = (tuple(map(jnp.asarray, x)) for x in (PARAMS, E))
    received, G, dG = _all_of_jax(f)(p, e)
    assert_close([received, *G, *dG], [value, *gradient, *product])


@pytest.mark.parametrize("ord", ["nuc", 2])
def test_autograd(ord: Any) -> None:
    value, gradient, _ = _expected(ord)

    def f(p: Any) -> Any:
        return matrix_norm(Operator(_matvec("autograd"), (M, N), p), ord)

    received, G = autograd.value_and_grad(f)(PARAMS)
    assert_close([received, *G], [value, *gradient])


def test_transforms() -> None:
    """jit, mapping and Hessians of both libraries, where the operator is made inside."""
    s, t = PARAMS
    of_array = lambda s: matrix_norm(_dense(s, t, jnp), "nuc")  # noqa: E731
    G, H = jax.jit(jax.grad(of_array))(s), jax.jit(jax.hessian(of_array))(s)
    two = np.stack([s, s])

    def of_jax(s: Any) -> Any:
        return matrix_norm(Operator(_matvec("jax"), (M, N), (s, jnp.asarray(t))), "nuc")

    assert_close(
        [jax.jit(jax.hessian(of_jax))(s), *jax.jit(jax.vmap(jax.grad(of_jax)))(two)], [H, G, G]
    )

    matvec, t = _matvec("torch"), torch.tensor(t)  # (not inside: they would be wrapped there)

    def of_torch(s: Any) -> Any:
        return matrix_norm(Operator(matvec, (M, N), (s, t)), "nuc")

    assert_close([torch.func.hessian(of_torch)(torch.tensor(s))], [H])
    assert_close([torch.func.jacfwd(torch.func.jacfwd(of_torch))(torch.tensor(s))], [H])
    assert_close(torch.func.vmap(torch.func.grad(of_torch))(torch.tensor(two)), [G, G])


def test_complex_with_real_parameters() -> None:
    """A = diag(exp(i a)) W is complex; the gradient in a is real: that of a sum with W."""
    a = torch.tensor(_rng.standard_normal(M), requires_grad=True)
    Wt, Xt = torch.tensor(W, dtype=torch.complex128), torch.tensor(X)
    A = Operator(lambda v, a: torch.exp(1j * a) * (Wt @ v), (M, N), (a,)) + Xt
    assert A.dtype == torch.complex128
    (g,) = torch.autograd.grad(matrix_norm(A, "nuc"), a)
    expected = matrix_norm(torch.exp(1j * a)[:, None] * Wt + Xt, "nuc")
    assert_close([g], [torch.autograd.grad(expected, a)[0].numpy()])
    assert g.dtype == torch.float64
    # of complex parameters too, transposed by each library
    z = torch.tensor(_rng.standard_normal(M) + 1j, requires_grad=True)
    B = Operator(lambda v, z: z**2 * (Wt @ v), (M, N), (z,)).T
    assert check_adjoint(B) < 1e-14
    G = torch.autograd.grad(matrix_norm(B, "nuc"), z)
    expected = torch.autograd.grad(matrix_norm((z**2)[:, None] * Wt, "nuc"), z)
    assert_close(G, [expected[0].numpy()])
    f = lambda z: matrix_norm(Operator(lambda v, z: z**2 * (W @ v), (M, N), (z,)), "nuc")  # noqa: E731
    assert_close([jax.grad(f)(jnp.asarray(z.detach().numpy())).conj()], [expected[0].numpy()])


@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "scipy"])
@pytest.mark.parametrize("ord", ["nuc", 2, "fro"])
def test_without_params(library: str, ord: Any) -> None:
    """The gradient is that in the space of matrices, in factors."""
    if library == "scipy":
        A = scipy.sparse.linalg.aslinearoperator(W)
    else:
        matrix = LIBRARIES[library](W)
        A = Operator(lambda v: matrix @ v, (M, N))
        assert A.static.library == library
        assert A.params == ()
    value, G = value_and_grad(A, ord)
    assert isinstance(G, LowRank)
    expected, dense = value_and_grad(W, ord)
    assert_close([value, G.dense()], [expected, dense])
    if library != "scipy":
        with pytest.raises(NotImplementedError, match="Give params"):
            normgrad.hvp(A, A, ord)


def test_multiples_transposes_and_sums() -> None:
    d = torch.ones(M, dtype=torch.float64, requires_grad=True)
    Wt = torch.tensor(W)
    A = Operator(lambda v, s: s * (Wt @ v), (M, N), (d,))
    B = -2.0 * A.T + LowRank(Wt.T, torch.eye(M, dtype=torch.float64))
    (g,) = torch.autograd.grad(matrix_norm(B, "nuc"), d)
    expected = matrix_norm(-2.0 * (d[:, None] * Wt).T + Wt.T, "nuc")
    assert_close([g], [torch.autograd.grad(expected, d)[0].numpy()])
    with pytest.raises(TypeError, match="one of params"):
        torch.ones(()) * A


def test_trees_of_params() -> None:
    p = {"a": torch.tensor(2.0), "b": [torch.ones(3)]}
    A = Operator(lambda v, p, c: c * (p["a"] + p["b"][0]) * v, (3, 3), (p, 1.0))
    gradient = value_and_grad(A, "nuc")[1]
    assert type(gradient) is Operator
    tree, c = gradient.params
    assert float(tree["a"]) == pytest.approx(3.0)
    np.testing.assert_allclose(tree["b"][0], np.ones(3))
    assert float(c) == pytest.approx(9.0)


def _circulant(n: int) -> tuple[Any, float, Any]:
    """Return a random kernel, the norm of its circulant, and the gradient in the kernel.

    The eigenvalues are ``lambda_k = sum_j c_j w^(jk)``; the greatest comes with its conjugate.
    """
    c = np.random.default_rng(0).standard_normal(n) / n**0.5
    eigenvalues = np.fft.fft(c)
    k = int(np.argmax(np.abs(eigenvalues)))
    phase = eigenvalues[k].conj() / abs(eigenvalues[k])
    return c, abs(eigenvalues[k]), (phase * np.exp(-2j * np.pi * k * np.arange(n) / n)).real


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_large_torch(dtype: Any) -> None:
    """5000 x 5000, by products alone; its largest singular value is double."""
    c, norm, gradient = _circulant(5000)
    c = torch.tensor(c, dtype=dtype, requires_grad=True)

    def matvec(v: Any, c: Any) -> Any:
        return torch.fft.irfft(torch.fft.rfft(c) * torch.fft.rfft(v), n=5000)

    A = Operator(matvec, (5000, 5000), (c,))
    assert normgrad.explain(A, 2).factorization == "lanczos"
    value = matrix_norm(A, 2)
    value.backward()
    tol = 1e-9 if dtype == torch.float64 else 1e-5
    assert value.item() == pytest.approx(norm, rel=tol / 10)
    np.testing.assert_allclose(c.grad, gradient, atol=tol)


def test_large_second_order_says_no() -> None:
    n = 6000
    c = torch.tensor(_circulant(n)[0], requires_grad=True)
    A = Operator(lambda v, c: c * v, (n, n), (c,))
    with pytest.raises(NotImplementedError, match="too large"):
        normgrad.hvp(A, A.with_params((c.detach(),)), 2)


def test_large_jax() -> None:
    n = 400
    c, norm, gradient = _circulant(n)

    def f(c: Any) -> Any:
        def matvec(v: Any, c: Any) -> Any:
            return jnp.fft.irfft(jnp.fft.rfft(c) * jnp.fft.rfft(v), n=n)

        return matrix_norm(Operator(matvec, (n, n), (c,)), 2, method="lanczos")

    value, g = jax.jit(jax.value_and_grad(f))(jnp.asarray(c))
    assert float(value) == pytest.approx(norm, rel=1e-12)
    np.testing.assert_allclose(g, gradient, atol=1e-9)
    # where Python runs the loop: the mean, far above the rest, for few steps
    value, g = jax.value_and_grad(f)(jnp.asarray(c + 50 / n))
    assert float(value) == pytest.approx(abs(c.sum() + 50), rel=1e-12)
    np.testing.assert_allclose(g, np.ones(n), atol=1e-9)


@pytest.mark.parametrize("scipys", [False, True])
def test_large_numpy(scipys: bool) -> None:
    n = 5000
    c, norm, _ = _circulant(n)
    symbol = np.fft.rfft(c)
    forth = lambda v: np.fft.irfft(symbol * np.fft.rfft(v), n=n)  # noqa: E731
    back = lambda u: np.fft.irfft(symbol.conj() * np.fft.rfft(u), n=n)  # noqa: E731
    make = scipy.sparse.linalg.LinearOperator if scipys else Operator
    A = make(shape=(n, n), matvec=forth, rmatvec=back, dtype=float)
    assert check_adjoint(A) < 1e-13
    value, G = value_and_grad(A, 2)
    assert value == pytest.approx(norm, rel=1e-13)
    assert G.left.shape[1] == 2  # the tie
    v = np.cos(2 * np.pi * np.arange(n) * np.argmax(np.abs(np.fft.fft(c))) / n)
    np.testing.assert_allclose(G @ v, forth(v) / norm / 2, atol=1e-8)


def test_a_function_that_cannot_be_mapped() -> None:
    """A product that leaves PyTorch is taken column by column."""
    s = torch.ones((), dtype=torch.float64)
    A = Operator(lambda v, s: s * torch.from_numpy(W @ v.numpy()), (M, N), (s,), lambda u, s: u[:N])
    assert float(matrix_norm(A, "nuc")) == pytest.approx(np.linalg.norm(W, "nuc"))


def test_edges() -> None:
    p = torch.ones(3, dtype=torch.bfloat16)
    G = value_and_grad(Operator(lambda v, p: p * v, (3, 3), (p,)), 2)[1]
    assert G.params[0].dtype == p.dtype
    p = torch.tensor([1.0, float("nan"), 2.0])
    value, G = value_and_grad(Operator(lambda v, p: p * v, (3, 3), (p,)), "nuc")
    assert value.isnan()
    assert G.params[0].isnan().all()
    assert value_and_grad(Operator(lambda v: np.zeros(5), (5, 0)), 2)[1].shape == (5, 0)
    p = torch.zeros(300, requires_grad=True)
    matrix_norm(Operator(lambda v, p: p * v, (300, 300), (p,)), 2).backward()
    assert not p.grad.any()


one = torch.ones((), dtype=torch.float64)
ERRORS = {
    "shape .6,. for one of shape .4,.": lambda: Operator(lambda v: W @ v, (6, 4)),
    "not linear: .* size 1": lambda: Operator(lambda v: W @ v + 1, (M, N)),
    "dtype that it gets, float32": lambda: Operator(lambda v, s: W @ v, (M, N), (np.float32(1),)),
    "array of torch": lambda: Operator(lambda v, s: W @ v.numpy(), (M, N), (one,)),
    "no library that is imported.*Give dtype": lambda: Operator(lambda v: v.missing, (M, N)),
    "close over indices": lambda: Operator(lambda v, i: v[i], (2, 2), (np.arange(2),)),
    "params must be a tuple": lambda: Operator(lambda v, s: s * v, (2, 2), np.ones(2)),
    "shape of an operator is a pair": lambda: Operator(lambda v: v, 3),
    "Pass rmatvec": lambda: matrix_norm(Operator(lambda v: v, (300, 300)), 2),
    "NumPy does not differentiate": lambda: value_and_grad(
        Operator(lambda v, s: s * v, (3, 3), (np.ones(3),)), 2
    ),
    "a tensor that is differentiated and is not in params": lambda: Operator(
        lambda v, s: s * one.clone().requires_grad_() * v, (3, 3), (one,)
    ),
    "JAX differentiates": lambda: jax.grad(
        lambda t: matrix_norm(Operator(lambda v, s: s * t * v, (3, 3), (jnp.ones(()),)), 2)
    )(1.0),
    "not adjoint.*off by": lambda: check_adjoint(
        Operator(lambda v: W @ v, (M, N), rmatvec=lambda u: 2 * (W.T @ u))
    ),
    "check_adjoint takes": lambda: check_adjoint(W),
    "x is of NumPy": lambda: Operator.jacobian(np.sin, W),
    "real function": lambda: Operator.jacobian(torch.sin, torch.ones(2) * 1j),
}


def test_an_error_of_matvec_passes_with_what_it_was_given() -> None:
    with pytest.raises(RuntimeError, match="size mismatch") as raised:
        Operator(lambda v, p: p @ v, (3, 4), (torch.ones(4, 3),))
    assert "vector of 4 zeros" in raised.value.__notes__[0]
    assert "shape (3, 4)" in raised.value.__notes__[0]


@pytest.mark.parametrize("message", ERRORS)
def test_errors(message: str) -> None:
    with pytest.raises((ValueError, TypeError, NotImplementedError, AssertionError), match=message):
        ERRORS[message]()


def test_nothing_differentiated_is_closed_over_under_transforms() -> None:
    """The gradient of a scalar that is not in params would be lost."""

    def f(t: Any) -> Any:
        return matrix_norm(Operator(lambda v, s: t * s * v, (3, 3), (one,)), 2)

    two = torch.tensor(2.0, dtype=torch.float64)
    for derivative in (
        lambda: torch.func.grad(f)(two),
        lambda: torch.func.jvp(f, (two,), (two,)),
    ):
        with pytest.raises(ValueError, match="not in params"):
            derivative()
    with torch.no_grad():
        assert float(f(two.clone().requires_grad_())) == 2.0
