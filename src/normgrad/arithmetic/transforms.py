r"""What a library does to functions of arrays: map, differentiate, transpose them.

One convention for all: a real-linear map J has the adjoint with ``Re<w, J e> = Re<J^* w, e>``.
PyTorch has it so; JAX and autograd pair without a conjugate, hence the `conj` on both sides.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

from normgrad.arithmetic.entries import conj
from normgrad.arithmetic.namespace import Array, is_jax, is_torch, namespace

__all__ = ["TRANSFORMS", "Transforms", "library_of", "mapped"]

Function = Callable[..., Any]
Arrays = tuple[Array, ...]


class Transforms(ABC):
    """The transforms of one library."""

    def vmap(self, f: Function, axes: tuple[int | None, ...]) -> Function:
        """Return f, mapped over the first axis of those arguments whose entry is 0."""

        def looped(*x: Array) -> Any:
            count = next(a.shape[0] for a, axis in zip(x, axes, strict=True) if axis == 0)
            results = [
                f(*(a[i] if axis == 0 else a for a, axis in zip(x, axes, strict=True)))
                for i in range(count)
            ]
            if isinstance(results[0], tuple):
                return tuple(map(self.stack, zip(*results, strict=True)))
            return self.stack(results)

        return looped

    def stack(self, arrays: Sequence[Array]) -> Array:
        """Return arrays as one, along a new first axis."""
        return namespace(arrays[0]).stack(tuple(arrays))

    @abstractmethod
    def vjp(self, f: Function, x: Arrays, w: Array) -> Arrays:
        """Return the gradient of ``Re<w, f(*x)>`` in each of x."""

    @abstractmethod
    def jvp(self, f: Function, x: Arrays, e: Arrays) -> Any:
        """Return the derivative of ``f(*x)``, an array or a tuple of them, in a direction."""

    def adjoint(self, f: Function, v: Array, u: Array) -> Array:
        """Return ``A^H u`` for a linear function ``f(v) = A v``; of v the shape and dtype count."""
        return self.vjp(f, (namespace(v).zeros_like(v),), u)[0]


@final
class _Numpy(Transforms):
    """NumPy maps by a loop, and does nothing else."""

    def vjp(self, f: Function, x: Arrays, w: Array) -> Arrays:
        raise NotImplementedError(
            "NumPy does not differentiate the functions of an Operator. Give params of PyTorch, "
            "JAX or autograd; or none, for the gradient in the space of matrices, as a LowRank"
        )

    def jvp(self, f: Function, x: Arrays, e: Arrays) -> Any:
        return self.vjp(f, x, e[0])

    def adjoint(self, f: Function, v: Array, u: Array) -> Array:
        raise NotImplementedError(
            "NumPy cannot transpose matvec. Pass rmatvec(u, *params), which returns A^H u"
        )


_NOT_MAPPED = (
    "vmap",
    "functorch",
    "atching rule",
    "BatchedTensor",
    "doesn't have storage",
    "match the broadcast shape",
)
"""What PyTorch says, in a RuntimeError or NotImplementedError, of functions it cannot map."""


@final
class _Torch(Transforms):
    def vmap(self, f: Function, axes: tuple[int | None, ...]) -> Function:
        quick, slow = sys.modules["torch"].func.vmap(f, in_dims=axes), super().vmap(f, axes)

        def either(*x: Array) -> Any:
            try:
                return quick(*x)
            except RuntimeError as error:  # not everything can be mapped
                if not any(part in str(error) for part in _NOT_MAPPED):
                    raise
                return slow(*x)

        return either

    def vjp(self, f: Function, x: Arrays, w: Array) -> Arrays:
        torch = sys.modules["torch"]
        with _without_hooks(torch._C._autograd):
            return torch.func.vjp(f, *x)[1](w)

    def jvp(self, f: Function, x: Arrays, e: Arrays) -> Any:
        return sys.modules["torch"].func.jvp(f, x, e)[1]


@contextmanager
def _without_hooks(stack: Any) -> Iterator[None]:
    """Take off the hooks of `torch.utils.checkpoint` and the like, which torch.func refuses.

    They are for what is saved for later, not for a derivative that is used at once. (PyTorch tells
    them from 2.8 on.)
    """
    hooks, top = [], getattr(stack, "_top_saved_tensors_default_hooks", lambda _: None)
    while (pair := top(True)) is not None:
        hooks.append(pair)
        stack._pop_saved_tensors_default_hooks()
    try:
        yield
    finally:
        for pair in reversed(hooks):
            stack._push_saved_tensors_default_hooks(*pair)


@final
class _Jax(Transforms):
    def vmap(self, f: Function, axes: tuple[int | None, ...]) -> Function:
        return sys.modules["jax"].vmap(f, in_axes=axes)

    def vjp(self, f: Function, x: Arrays, w: Array) -> Arrays:
        return tuple(map(conj, sys.modules["jax"].vjp(f, *x)[1](conj(w))))

    def jvp(self, f: Function, x: Arrays, e: Arrays) -> Any:
        return sys.modules["jax"].jvp(f, x, e)[1]

    def adjoint(self, f: Function, v: Array, u: Array) -> Array:
        return conj(sys.modules["jax"].linear_transpose(f, v)(conj(u))[0])


@final
class _Autograd(Transforms):
    """HIPS autograd; its forward mode knows one variable, here the step along a line."""

    def stack(self, arrays: Sequence[Array]) -> Array:
        return sys.modules["autograd.numpy"].stack(tuple(arrays))

    def vjp(self, f: Function, x: Arrays, w: Array) -> Arrays:
        autograd, anp = sys.modules["autograd"], sys.modules["autograd.numpy"]
        pullback = autograd.make_vjp(lambda x: f(*x), 0)(x)[0]
        parts = pullback(anp.conj(w))
        return tuple(anp.conj(parts[i]) for i in range(len(x)))

    def jvp(self, f: Function, x: Arrays, e: Arrays) -> Any:
        make_jvp = sys.modules["autograd"].make_jvp

        def along(t: Any) -> Any:
            return f(*(a + t * b for a, b in zip(x, e, strict=True)))

        result = f(*x)
        if not isinstance(result, tuple):
            return make_jvp(along, 0)(0.0)(1.0)[1]
        # (a tuple would be taken for a constant)
        parts = (make_jvp(lambda t, i=i: along(t)[i], 0) for i in range(len(result)))
        return tuple(part(0.0)(1.0)[1] for part in parts)


TRANSFORMS: dict[str, Transforms] = {
    "numpy": _Numpy(),
    "torch": _Torch(),
    "jax": _Jax(),
    "autograd": _Autograd(),
}
"""By the name of the library."""


def library_of(x: Array) -> str:
    """Return the name of the library of an array, without an import of it."""
    if type(x).__module__.startswith("autograd."):
        return "autograd"
    return "torch" if is_torch(x) else "jax" if is_jax(x) else "numpy"


def mapped(library: str, f: Function, ranks: Sequence[int], arrays: Sequence[Array]) -> Any:
    """Return f of arrays with so many axes each; the axes before those broadcast.

    All arguments are arrays. The result is an array, or a tuple of arrays.
    """
    leading = [x.ndim - rank for x, rank in zip(arrays, ranks, strict=True)]
    depth = max(leading)
    if depth == 0:
        return f(*arrays)
    size = max(x.shape[0] for x, lead in zip(arrays, leading, strict=True) if lead == depth)
    if size == 1:  # (an axis that all broadcast: nothing to map)
        inner = [x[0] if lead == depth else x for x, lead in zip(arrays, leading, strict=True)]
        return _each(lambda y: y[None], mapped(library, f, ranks, inner))
    over = [lead == depth and x.shape[0] == size for x, lead in zip(arrays, leading, strict=True)]
    operands = [
        x[0] if lead == depth and not own else x
        for x, lead, own in zip(arrays, leading, over, strict=True)
    ]
    axes = tuple(0 if own else None for own in over)
    return TRANSFORMS[library].vmap(lambda *x: mapped(library, f, ranks, x), axes)(*operands)


def _each(f: Function, result: Any) -> Any:
    return tuple(map(f, result)) if isinstance(result, tuple) else f(result)
