"""PyTorch: every transform."""

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import normgrad
from normgrad.norms import ALIASES

ORDS = [*ALIASES, normgrad.Schatten(1.5), normgrad.Schatten(3), normgrad.KyFan(2)]
SHAPES = [(4, 4), (5, 3), (2, 3, 4)]
every_norm = pytest.mark.parametrize("ord", ORDS, ids=str)


def randn(*shape: int, dtype: Any = torch.float64, seed: int = 0) -> Any:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@every_norm
def test_gradcheck(ord: Any, shape: Any, dtype: Any) -> None:
    x = randn(*shape, dtype=dtype).requires_grad_()
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    assert gradcheck(
        f, x, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert gradgradcheck(
        f, x, check_fwd_over_rev=True, check_rev_over_rev=True, check_batched_grad=True
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
def test_prox_gradcheck(ord: Any, dtype: Any) -> None:
    x, t = randn(2, 4, 3, dtype=dtype).requires_grad_(), torch.tensor([0.3, 1.1]).double()
    f = lambda x, t: normgrad.prox(x, t, ord)  # noqa: E731
    assert gradcheck(
        f, (x, t.requires_grad_()), check_forward_ad=True, check_batched_grad=True,
        check_batched_forward_grad=True,
    )  # fmt: skip
    batched = vmap(f)(x.detach(), t.detach())
    torch.testing.assert_close(batched, f(x, t).detach())


@every_norm
def test_functional_transforms(ord: Any) -> None:
    x, E = randn(3, 4, 5), randn(3, 4, 5, seed=1)
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    G, dG = normgrad.grad(x, ord), normgrad.hvp(x, E, ord)
    close = torch.testing.assert_close

    close(vmap(f)(x), f(x))
    close(vmap(f, in_dims=2)(x.movedim(0, 2)), f(x))
    close(vmap(grad(f))(x), G)
    close(grad(lambda x: vmap(f)(x).sum())(x), G)
    close(vjp(f, x[0])[1](torch.tensor(2.0).double())[0], 2 * G[0])
    close(jvp(f, (x[0],), (E[0],))[1], (G[0] * E[0]).sum())
    close(jvp(grad(f), (x[0],), (E[0],))[1], dG[0])
    close(vmap(lambda x, E: jvp(grad(f), (x,), (E,))[1])(x, E), dG)
    close(grad(lambda x: (grad(f)(x) * E[0]).sum())(x[0]), dG[0])
    close(grad(lambda x: jvp(f, (x,), (E[0],))[1])(x[0]), dG[0])
    close(jvp(lambda x: jvp(f, (x,), (E[0],))[1], (x[0],), (E[0],))[1], (dG[0] * E[0]).sum())

    H = torch.autograd.functional.hessian(f, x[0])
    close(torch.einsum("ijkl,kl->ij", H, E[0]), dG[0])
    for transform in (hessian(f), jacrev(grad(f)), jacfwd(grad(f)), jacrev(jacfwd(f))):
        close(transform(x[0]), H)
    close(jacfwd(jacfwd(f))(x[0]), H)
    close(vmap(hessian(f))(x)[0], H)
    close(torch.autograd.functional.hessian(f, x[0], vectorize=True), H)


@every_norm
def test_hessian_at_a_batch_of_directions_factorizes_once(ord: Any, monkeypatch: Any) -> None:
    calls = []
    svd = torch.linalg.svd
    monkeypatch.setattr(
        torch.linalg, "svd", lambda *a, **k: calls.append(a[0].shape) or svd(*a, **k)
    )
    x = randn(4, 3)
    jacrev(grad(lambda x: normgrad.matrix_norm(x, ord)))(x)
    assert len(calls) <= 2
    assert all(shape == (4, 3) for shape in calls)


@every_norm
def test_third_order_raises(ord: Any) -> None:
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    x = randn(4, 3)
    with pytest.raises(normgrad.OrderError, match="second order"):
        jacfwd(hessian(f))(x)
    with pytest.raises(normgrad.OrderError):
        grad(lambda x: hessian(f)(x).square().sum())(x)
    with pytest.raises(normgrad.OrderError):
        jvp(lambda x: hessian(f)(x), (x,), (x,))
    x.requires_grad_()
    (G,) = torch.autograd.grad(f(x), x, create_graph=True)
    (dG,) = torch.autograd.grad(G, x, randn(4, 3, seed=2), create_graph=True)
    with pytest.raises(normgrad.OrderError):
        torch.autograd.grad(dG.sum(), x)


def test_second_order_in_the_direction_is_allowed() -> None:
    """The Hessian product is linear in its direction, also while x requires grad."""
    x, w = randn(4, 3).requires_grad_(), randn(4, 3, seed=1).requires_grad_()
    dG = normgrad.hvp(x, 2 * w, "nuc")
    expected = 2 * normgrad.hvp(x.detach(), torch.ones_like(w).detach(), "nuc")
    torch.testing.assert_close(torch.autograd.grad(dG.sum(), w)[0], expected)


@every_norm
def test_compile_forward_and_backward(ord: Any) -> None:
    torch._dynamo.reset()
    f = torch.compile(lambda x: 2 * normgrad.matrix_norm(x, ord).sum(), fullgraph=True)
    for shape in ((3, 4, 5), (4, 4)):
        x = randn(*shape).requires_grad_()
        f(x).backward()
        torch.testing.assert_close(x.grad, 2 * normgrad.grad(x.detach(), ord))
        with torch.no_grad():
            torch.testing.assert_close(f(x), 2 * normgrad.matrix_norm(x, ord).sum())


def test_compile_everything_else() -> None:
    torch._dynamo.reset()
    x = randn(3, 4, 5).requires_grad_()

    def f(x: Any) -> Any:
        low = normgrad.prox(x, 0.5, "nuc")
        half = normgrad.schatten_norm(x.half(), 3, axis=(0, 1), keepdims=True)
        G = normgrad.grad(x, normgrad.Nuclear(rank_tol=1e-3))
        return low.square().sum() + half.sum() + (G * torch.ones_like(x)).sum()

    value = torch.compile(f, fullgraph=True)(x)
    (received,) = torch.autograd.grad(value, x)
    (expected,) = torch.autograd.grad(f(x), x)
    torch.testing.assert_close(value, f(x))
    torch.testing.assert_close(received, expected)
    mapped = torch.compile(vmap(lambda x: normgrad.spectral_norm(x)), fullgraph=True)
    torch.testing.assert_close(mapped(x.detach()), normgrad.spectral_norm(x.detach()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
@every_norm
def test_precisions(ord: Any, dtype: Any) -> None:
    """Half precisions are computed in float32 and rounded once."""
    x = randn(2, 4, 3).to(dtype).requires_grad_()
    wide = x.detach().to(torch.complex128 if dtype.is_complex else torch.float64)
    value, G = normgrad.value_and_grad(wide, ord)
    received = normgrad.matrix_norm(x, ord)
    received.sum().backward()
    assert received.dtype == dtype.to_real()
    assert x.grad.dtype == dtype
    eps = torch.finfo(dtype).eps
    rtol = eps if eps > 1e-4 else 4e-6
    torch.testing.assert_close(received, value.to(dtype.to_real()), rtol=rtol, atol=rtol)
    torch.testing.assert_close(x.grad, G.to(dtype), rtol=rtol, atol=rtol)
    again, G_again = normgrad.value_and_grad(x.detach(), ord)
    assert (again.dtype, G_again.dtype) == (dtype.to_real(), dtype)


def test_integers_become_the_default_float() -> None:
    x = torch.arange(6).reshape(2, 3)
    assert normgrad.matrix_norm(x, "nuc").dtype == torch.get_default_dtype()
    assert normgrad.matrix_norm(x.bool(), 1).item() == 2.0


def test_no_singular_vectors_without_a_gradient(monkeypatch: Any) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("singular vectors were computed")

    monkeypatch.setattr(torch.linalg, "svd", refuse)
    x = randn(4, 3)
    expected = torch.linalg.svdvals(x).sum()
    torch.testing.assert_close(normgrad.nuclear_norm(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(normgrad.nuclear_norm(x.requires_grad_()), expected)
    with torch.inference_mode():
        torch.testing.assert_close(normgrad.nuclear_norm(x), expected)


def test_inputs_that_need_no_gradient_and_leaves_that_do() -> None:
    x, w = randn(4, 3), randn(4, 3, seed=1).requires_grad_()
    assert not normgrad.nuclear_norm(x).requires_grad
    (normgrad.nuclear_norm(x) + normgrad.nuclear_norm(w)).backward()
    torch.testing.assert_close(w.grad, normgrad.grad(w.detach(), "nuc"))
    layer = torch.nn.Linear(3, 4).double()
    f = lambda p: normgrad.spectral_norm(functional_call(layer, p, (x,)))  # noqa: E731
    G = grad(f)(dict(layer.named_parameters()))
    assert G["weight"].shape == (4, 3)


@pytest.mark.parametrize("norm", [normgrad.Spectral(1e-3), normgrad.KyFan(2), normgrad.Schatten(3)])
def test_public_objects_copy_and_pickle(norm: Any) -> None:
    assert copy.deepcopy(norm) == norm == pickle.loads(pickle.dumps(norm))
    assert hash(copy.copy(norm)) == hash(norm)
    x = randn(4, 3)
    explanation = normgrad.explain(x, norm)
    assert pickle.loads(pickle.dumps(explanation)) == explanation == copy.deepcopy(explanation)
    error = pickle.loads(pickle.dumps(normgrad.OrderError()))
    assert str(error) == str(normgrad.OrderError())
    f = pickle.loads(pickle.dumps(normgrad.matrix_norm))
    torch.testing.assert_close(f(x, norm), normgrad.matrix_norm(x, norm))


def test_what_is_differentiated_is_explained_without_a_warning() -> None:
    x = torch.ones(1000, 1000, requires_grad=True)
    assert str(normgrad.explain(x, 2)) == str(normgrad.explain(x.detach(), 2))


def test_non_contiguous_and_expanded_inputs() -> None:
    x = randn(3, 8, 5)[:, ::2, :].mT
    G = normgrad.grad(x.contiguous(), "nuc")
    torch.testing.assert_close(normgrad.grad(x, "nuc"), G)
    one = randn(4, 3).expand(5, 4, 3)
    torch.testing.assert_close(
        normgrad.matrix_norm(one, 2), normgrad.matrix_norm(one[0], 2).expand(5)
    )


def test_forward_mode_in_a_compiler_raises() -> None:
    """The compiler would drop the tangent silently."""
    torch._dynamo.reset()
    x, E = randn(4, 3), randn(4, 3, seed=1)
    slope = lambda x: torch.func.jvp(normgrad.nuclear_norm, (x,), (E,))[1]  # noqa: E731
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(slope, fullgraph=True)(x)
    compiled = torch.compile(normgrad.nuclear_norm, fullgraph=True)
    compiled(x)
    with forward_ad.dual_level(), pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(forward_ad.make_dual(x, E))


def test_compiled_numbers_and_vmap() -> None:
    """A step may change between calls; the gradient of a mapped norm is there."""
    torch._dynamo.reset()
    x = randn(3, 4, 5)
    f = torch.compile(lambda x, t: normgrad.prox(x, t, "nuc"), fullgraph=True)
    for number in (1.5, 2.5, 3.5):
        torch.testing.assert_close(f(x, number), normgrad.prox(x, number, "nuc"))
    leaf = x.clone().requires_grad_()
    torch.compile(lambda x: vmap(normgrad.nuclear_norm)(x).sum(), fullgraph=True)(leaf).backward()
    torch.testing.assert_close(leaf.grad, normgrad.grad(x, "nuc"))


@pytest.mark.parametrize(
    "norm",
    [
        normgrad.Schatten,
        normgrad.HuberNuclear,
        lambda w: normgrad.WeightedNuclear((4.0, w)),
        lambda p: normgrad.Squared(normgrad.Schatten(p)),
        lambda n: normgrad.Spectral(tie_tol=0.1 / n),
    ],
)
def test_numbers_of_a_norm_may_change_between_compiled_calls(norm: Any) -> None:
    """From the second on the compiler takes them for variable."""
    torch._dynamo.reset()
    x = randn(4, 5)
    f = torch.compile(
        lambda x, p: normgrad.matrix_norm(x, norm(p)), fullgraph=True, backend="eager"
    )
    for p in (1.5, 2.5, 3, 4.1):
        torch.testing.assert_close(f(x, p), normgrad.matrix_norm(x, norm(p)))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
def test_forward_mode_is_linear_in_its_direction(ord: Any) -> None:
    """Forward over forward with the direction alone moving gives the first derivative again."""
    x, E, t = randn(4, 3), randn(4, 3, seed=1), torch.tensor(0.5).double()
    one, c = torch.tensor(1.0).double(), torch.tensor(0.7).double()
    for f in (
        lambda c: jvp(lambda x: normgrad.matrix_norm(x, ord), (x,), (c * E,))[1],
        lambda c: jvp(lambda x, t: normgrad.prox(x, t, ord), (x, t), (c * E, c))[1],
        lambda c: jvp(lambda t: normgrad.prox(x, t, ord), (t,), (c,))[1],
        lambda c: jvp(lambda x: normgrad.prox(x, t, ord), (x,), (c * E,))[1],
    ):
        torch.testing.assert_close(jvp(f, (c,), (one,))[1], f(one))
        torch.testing.assert_close(jacrev(f)(c), f(one))


def test_inference_meta_and_fake_tensors() -> None:
    x, E = randn(4, 3), randn(4, 3, seed=1)
    expected = normgrad.hvp(x, E, "nuc")
    with torch.inference_mode():
        torch.testing.assert_close(normgrad.hvp(x * 1, E, "nuc"), expected)
    shape = torch.empty(2, 4, 3, device="meta", requires_grad=True)
    value = normgrad.nuclear_norm(shape)
    value.sum().backward()
    assert (value.shape, shape.grad.shape) == ((2,), shape.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, about its own graph
        _, push = torch.func.linearize(normgrad.nuclear_norm, x)
    torch.testing.assert_close(push(E), (normgrad.grad(x, "nuc") * E).sum())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ord", [1, float("inf"), 2, "nuc", "fro"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)], ids=str)
def test_complex_lines_of_one_entry(shape: Any, ord: Any) -> None:
    """PyTorch's count of nonzeros warns there; |z| has the second derivative of a circle."""
    z = torch.full(shape, 3 + 4j, dtype=torch.complex128)
    turn = normgrad.hvp(z, 1j * z, ord)
    torch.testing.assert_close(turn, 1j * normgrad.grad(z, ord))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1], ids=str)
def test_values_are_contiguous(ord: Any) -> None:
    x = torch.randn(2, 3, 4, 5).transpose(0, 1)
    for leaf in (x, x.clone().requires_grad_()):
        assert normgrad.matrix_norm(leaf, ord).is_contiguous()


def test_backward_of_fake_tensors() -> None:
    with torch._subclasses.FakeTensorMode():
        x = torch.randn(3, 3, requires_grad=True)
        normgrad.nuclear_norm(x).backward()
        assert x.grad is not None
        assert x.grad.shape == (3, 3)
