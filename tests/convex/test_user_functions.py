"""Functions of a user: they get arrays of the user's library, and are kept by nobody."""

import gc
import pickle
import subprocess
import sys
import weakref
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

import normgrad
from normgrad.norms import Curvature, UnitarilyInvariantNorm

shapes = pytest.mark.parametrize("shape", [(4, 3), (24, 20)], ids=str)


def f(s: Any) -> Any:
    return torch.log1p(s * s)


def df(s: Any) -> Any:
    return 2 * s / torch.add(1, s * s)


LOGDET = normgrad.SpectralFunction(f, df, lambda s: 2 * (1 - s * s) / torch.square(1 + s * s))


@dataclass(frozen=True)
class Largest(UnitarilyInvariantNorm):
    """The spectral norm, by functions that take tensors alone."""

    def value(self, s: Any) -> Any:
        return torch.amax(s, dim=-1)

    def slope(self, s: Any, tie: float) -> Any:
        return torch.nn.functional.one_hot(torch.argmax(s, dim=-1), s.shape[-1]).to(s.dtype)

    def curvature(self, s: Any, tie: float) -> Curvature:
        raise NotImplementedError


@shapes
def test_functions_get_tensors(shape: tuple[int, int]) -> None:
    A = np.random.default_rng(3).standard_normal(shape)
    x = torch.from_numpy(A).requires_grad_()
    expected = np.linalg.slogdet(np.eye(shape[1]) + A.T @ A)[1]
    y = normgrad.matrix_norm(x, LOGDET)
    assert y.item() == pytest.approx(expected, rel=1e-12)
    (g,) = torch.autograd.grad(y, x)
    np.testing.assert_allclose(g, 2 * A @ np.linalg.inv(np.eye(shape[1]) + A.T @ A), atol=1e-12)
    value, G = normgrad.value_and_grad(x.detach(), LOGDET)
    assert value.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(G, g, atol=1e-12)


@shapes
@pytest.mark.parametrize("ord", [Largest(), normgrad.Squared(Largest())], ids=["itself", "squared"])
def test_norms_of_a_user_get_tensors(ord: Any, shape: tuple[int, int]) -> None:
    x = torch.from_numpy(np.random.default_rng(4).standard_normal(shape)).requires_grad_()
    same = normgrad.Squared(2) if isinstance(ord, normgrad.Squared) else 2
    y, expected = normgrad.matrix_norm(x, ord), normgrad.matrix_norm(x, same)
    assert y.item() == pytest.approx(expected.item(), rel=1e-12)
    G, H = torch.autograd.grad(y, x)[0], torch.autograd.grad(expected, x)[0]
    np.testing.assert_allclose(G, H, atol=1e-12)
    diagonal = normgrad.Diagonal(torch.tensor([3.0, 1.0]))
    assert normgrad.matrix_norm(diagonal, ord).item() == (3.0 if same == 2 else 9.0)


class Doubled(normgrad.Matrix):
    """Twice a diagonal matrix, by functions that take tensors alone."""

    names = ("diagonal",)

    def __init__(self, diagonal: torch.Tensor) -> None:
        self.set((diagonal,))

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.parameters[0].shape, self.parameters[0].shape[-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        return (1,)

    def matmat(self, V: Any) -> Any:
        return torch.mul(V, 2 * self.parameters[0][..., None])

    def rmatmat(self, U: Any) -> Any:
        return self.matmat(U)

    def pull(self, left: Any, right: Any) -> tuple[Any, ...]:
        return (2 * torch.sum(left * right, dim=-1),)


def test_matrices_of_a_user_get_tensors() -> None:
    d = torch.tensor([3.0, 1.0], dtype=torch.float64)
    value, G = normgrad.value_and_grad(Doubled(d), 2)
    assert value.item() == pytest.approx(6.0, rel=1e-12)
    np.testing.assert_allclose(G.diagonal, [2.0, 0.0], atol=1e-12)


def test_a_function_is_freed() -> None:
    norm = normgrad.SpectralFunction(lambda s: s * s, lambda s: 2 * s)
    gone, key = weakref.ref(norm), norm.name()
    normgrad.matrix_norm(np.eye(2), norm)
    normgrad.grad(torch.eye(2), norm)
    assert normgrad.norms.norm_of_name(key) is norm
    del norm
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="keep a reference"):
        normgrad.norms.norm_of_name(key)


def test_a_pickle_names_the_same_function_in_another_process() -> None:
    """There another function may have been made first, and have the name that this one has."""
    norm = normgrad.SpectralFunction(np.square, np.exp)
    assert pickle.loads(pickle.dumps(norm)) == norm
    code = (
        "import numpy as np, pickle, sys, normgrad; from normgrad.norms import norm_of_name\n"
        "made = [normgrad.SpectralFunction(np.cos, np.sin) for _ in range(99)]\n"
        f"norm = pickle.loads({pickle.dumps(norm)!r})\n"
        "assert norm.f is np.square and norm_of_name(norm.name()) is norm"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def closing_over(t: Any, field: str) -> Any:
    functions = {"f": lambda s: s * s, "df": lambda s: 2 * s, "d2f": lambda s: 0 * s + 2}
    plain = functions[field]
    return normgrad.SpectralFunction(**functions | {field: lambda s: t * plain(s)})


@pytest.mark.parametrize("field", ["f", "df", "d2f"])
def test_a_gradient_that_would_be_lost(field: str) -> None:
    x, t = torch.eye(3), torch.tensor(2.0, requires_grad=True)
    norm = closing_over(t, field)
    for call in (normgrad.matrix_norm, normgrad.value_and_grad, normgrad.linearize):
        with pytest.raises(TypeError, match=rf"^{field} of .* detach"):
            call(x, norm)
    with pytest.raises(TypeError, match=r"t\.detach"):
        normgrad.hvp(x, x, norm)
    with torch.no_grad():
        assert normgrad.matrix_norm(x, norm).item() == (6.0 if field == "f" else 3.0)
    normgrad.matrix_norm(x, closing_over(t.detach(), field))


def test_a_gradient_that_would_be_lost_in_a_transform() -> None:
    x = torch.eye(3)

    def value(t: torch.Tensor) -> torch.Tensor:
        return normgrad.matrix_norm(x, closing_over(t, "f"))

    t = torch.tensor(2.0)
    with pytest.raises(TypeError, match="detach"):
        torch.func.grad(value)(t)
    with pytest.raises(TypeError, match="detach"):
        torch.func.jvp(value, (t,), (t,))
    with forward_ad.dual_level(), torch.no_grad(), pytest.raises(TypeError, match="detach"):
        value(forward_ad.make_dual(t, t))
    torch._dynamo.reset()
    norm = closing_over(t.requires_grad_(), "f")
    with pytest.raises(Exception, match="detach"):
        torch.compile(lambda x: normgrad.matrix_norm(x, norm), backend="eager")(x)


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
@pytest.mark.parametrize("field", ["f", "df", "d2f"])
def test_what_is_not_entrywise_is_refused(field: str, library: Any) -> None:
    """A sum or a maximum would be one number for all matrices; a number is a constant."""
    x = library(np.random.default_rng(0).standard_normal((2, 4, 3)))
    square = {"f": lambda s: s * s, "df": lambda s: 2 * s, "d2f": lambda s: 2}
    np.testing.assert_allclose(normgrad.hvp(x, x, normgrad.SpectralFunction(**square)), 2 * x)
    for wrong in (lambda s: s.max(), lambda s: s.sum(-1), lambda s: "3"):
        norm = normgrad.SpectralFunction(**square | {field: wrong})
        with pytest.raises(ValueError, match=f"{field} must work entrywise"):
            (normgrad.matrix_norm(x, norm), normgrad.grad(x, norm), normgrad.hvp(x, x, norm))
