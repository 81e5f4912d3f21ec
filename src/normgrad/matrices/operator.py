"""Matrices known by a function: what they do to a vector."""

import functools
import math
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, final

import numpy as np

from normgrad.arithmetic import Array, device, is_complex, is_traced, library_of, namespace
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import as_array, check_shape, in_one_library
from normgrad.matrices.functions import LinearMap, Named
from normgrad.matrices.jacobian import Forward, Reverse, shape_of
from normgrad.matrices.probing import complex_of, find_library, name_of, precision_of, probed
from normgrad.matrices.trees import flatten, unflatten

__all__ = ["Operator"]


@final
class Operator(Matrix):
    r"""A matrix known by its products with vectors.

    Parameters
    ----------
    matvec : callable
        ``matvec(v, *params)`` is ``A v``, (m,) from (n,); linear in v.
    shape : (m, n)
    params : tuple of arrays
        What A depends on, in any way that is differentiable: arrays of any shape, or nested
        tuples, lists and dictionaries of them. The gradient is in these.
    rmatvec : callable, optional
        ``rmatvec(u, *params)`` is ``A^H u``, (n,) from (m,). PyTorch, JAX and autograd transpose
        `matvec` themselves; NumPy cannot. `normgrad.testing.check_adjoint` tests it.
    dtype : dtype, optional
        Of vectors. By default the precision is that of `params`, and A is complex if
        `matvec` returns complex vectors for real ones.

    Attributes
    ----------
    params : tuple
        In a gradient, the gradients.

    Raises
    ------
    ValueError, TypeError
        If `matvec`, called once with zeros, returns something else than a vector of length m
        and the dtype of v; if it maps zeros to another vector; if it depends on something
        that is differentiated and not in `params`. From a norm by products: if those with
        the singular vectors found tell that `rmatvec` is not its adjoint, or it is not linear.

    Notes
    -----
    The spectral and Ky Fan norms of operators with at least 200 rows and columns need some
    tens of products. With the triplets that they give, the gradient is that of
    ``theta -> Re sum_i mu_i u_i^H A(theta) v_i``: by Euler's theorem that is the norm itself, and
    the change of u and v does not count (envelope theorem). Other norms, and all second
    derivatives, form the array, which is limited to 2**25 entries.

    Constants that `matvec` closes over are made outside of the function that ``torch.func`` maps
    or differentiates, and outside of one that ``jax.grad(jax.jit(...))`` differentiates
    (``jax.jit(jax.grad(...))`` may hold them): inside, the library takes them for variables.

    Without params there is a value in every library, and `value_and_grad` returns the gradient
    in the space of matrices as a `LowRank`. NumPy differentiates no function, so there an
    operator with params has values alone.

    Examples
    --------
    A circular convolution, with the gradient in its kernel:

    >>> import torch, normgrad
    >>> def matvec(v, kernel):
    ...     return torch.fft.ifft(torch.fft.fft(kernel, n=len(v)) * torch.fft.fft(v)).real
    >>> kernel = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    >>> A = normgrad.Operator(matvec, (1000, 1000), params=(kernel,))
    >>> value = normgrad.matrix_norm(A, 2)
    >>> value.backward()
    >>> round(value.item(), 9), kernel.grad.round(decimals=6)
    (3.0, tensor([1., 1.], dtype=torch.float64))
    """

    scaling: ClassVar = "none"
    static: LinearMap

    def __init__(
        self,
        matvec: Callable[..., Any],
        shape: tuple[int, int],
        params: Any = (),
        rmatvec: Callable[..., Any] | None = None,
        dtype: Any = None,
    ) -> None:
        sizes = check_shape(shape, "an operator")
        if hasattr(params, "ndim") or isinstance(params, (str, Mapping)):
            raise TypeError(
                f"params must be a tuple, as in params=(t,); got {type(params).__name__}"
            )
        flat, structure = flatten(tuple(params))
        leaves = in_one_library([_leaf(p) for p in flat], "params")
        if leaves:
            libraries = [library_of(p) for p in leaves]
            library = next((name for name in libraries if name != "numpy"), "numpy")
            name = _precision(leaves, dtype)
        else:
            library, name = find_library(matvec, sizes[1], dtype)
            if complex_of(precision_of(name)) != complex_of(name):
                raise TypeError(f"matvec works in {name}, too coarse; give dtype float32 at least")
        if dtype is not None and "complex" in name_of(dtype):
            name = complex_of(name)
        forth, back = (
            f if f is None or isinstance(f, Named) else Named(f) for f in (matvec, rmatvec)
        )
        of = LinearMap(
            forth,  # type: ignore[arg-type]
            back,
            sizes,
            library,
            "complex" in name,
            structure,
            tuple(p.ndim for p in leaves),
            tuple(map(is_complex, leaves)),
        )
        got = probed(of, name, leaves)
        of = replace(of, is_complex="complex" in got)
        if not leaves:
            of, leaves = replace(of, dtype=got), (_placeholder(library, got),)
        self.set(leaves, of)

    @staticmethod
    def jacobian(f: Callable[..., Any], x: Array, params: Any = ()) -> "Operator":
        r"""Return the Jacobian of ``x -> f(x, *params)`` at x, by products with vectors.

        Parameters
        ----------
        f : callable
            From an array of any shape to one of any shape, both real.
        x : array
            PyTorch, JAX or autograd.
        params : tuple
            As for `Operator`; weights, for example.

        Returns
        -------
        Operator
            Of shape (size of f(x), size of x), with the params ``(x, *params)``: a norm is
            differentiable in both.

        Notes
        -----
        A product with a vector is a forward derivative of f, one with the adjoint a reverse
        one. The gradient takes second derivatives of f.

        Examples
        --------
        The Lipschitz constant of a network at a point, with its gradient in the weights:

        >>> import torch, normgrad
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        >>> def f(x, weights):
        ...     return torch.func.functional_call(net, weights, (x,))
        >>> weights = dict(net.named_parameters())
        >>> J = normgrad.Operator.jacobian(f, torch.ones(3), (weights,))
        >>> J.shape
        (2, 3)
        >>> normgrad.spectral_norm(J).backward()
        >>> net[0].weight.grad.shape
        torch.Size([4, 3])
        """
        library, shape = shape_of(f, x, params)
        forth, back = Forward(f, library), Reverse(f, library, shape)
        return Operator(forth, (math.prod(shape), math.prod(x.shape)), (x, *params), back)

    @classmethod
    def of_columns(
        cls, matmat: Callable[..., Any], rmatmat: Callable[..., Any], shape: Any, dtype: Any
    ) -> "Operator":
        """Return the operator of functions of NumPy matrices of columns, unchecked."""
        name = precision_of(dtype) if np.issubdtype(dtype, np.inexact) else "float64"
        name = complex_of(name) if "complex" in name_of(dtype) else name
        sizes, is_complex = check_shape(shape, "an operator"), "complex" in name
        of = LinearMap(Named(matmat), Named(rmatmat), sizes, "numpy", is_complex)
        structure = flatten(())[1]
        of = replace(of, structure=structure, dtype=name, blocks=True)
        return cls.build((_placeholder("numpy", name),), of)

    @classmethod
    def portable(cls, static: Hashable) -> bool:
        return False

    @property
    def params(self) -> tuple[Any, ...]:
        """Return the parameters as they were given, or their gradients."""
        return unflatten(self.static.structure, self.parameters)

    def with_params(self, params: Any) -> "Operator":
        """Return the operator at other parameters, of the same structure and shapes.

        As a direction of its parameters, for `hvp`, too.
        """
        leaves, structure = flatten(tuple(params))
        if structure != self.static.structure or self.fixed:
            raise ValueError("params must have the structure of those that the operator has")
        return self.replace(tuple(map(_leaf, leaves)))

    @property
    def fixed(self) -> bool:
        return not self.static.ranks

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.parameters[0]
        batch = first.shape[: first.ndim - self.ranks[0]]
        return (*batch, *self.static.shape)

    @property
    def ranks(self) -> tuple[int, ...]:
        return self.static.ranks or (1,)

    @property
    def model(self) -> Array:
        first = self.parameters[0]
        if library_of(first) == "autograd":
            first = sys.modules["autograd.tracer"].getval(first)
        xp, name = namespace(first), precision_of(first.dtype)
        name = complex_of(name) if self.static.is_complex else name
        return xp.zeros((), dtype=getattr(xp, name), device=device(first))

    def matmat(self, V: Array) -> Array:
        return self._product("forth", V)

    def rmatmat(self, U: Array) -> Array:
        return self._product("back", U)

    def _product(self, name: str, V: Array) -> Array:
        if self.static.library != "jax" or any(map(is_traced, (V, *self.parameters))):
            return self._of(name, V, *self.parameters)
        # compiled for this one matrix: the function may close over what has changed by the next
        kept = vars(self).setdefault("_compiled", {})
        if name not in kept:
            kept[name] = sys.modules["jax"].jit(functools.partial(self._of, name))
        return kept[name](V, *self.parameters)

    def _of(self, name: str, V: Array, *parameters: Array) -> Array:
        return self.static.each(getattr(self.static, name), [V], parameters).mT

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        if self.fixed:
            return tuple(0 * p for p in self.parameters)
        return self._as_given(self.static.each(self.static.pull, [left, right], self.parameters))

    def pull_derivative(
        self, direction: Matrix, left: Array, right: Array
    ) -> tuple[Array, ...] | None:
        if self.fixed:
            return None
        both = self.parameters, direction.parameters
        return self._as_given(self.static.each(self.static.pull_derivative, [left, right], *both))

    def _as_given(self, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return gradients, complex where a real parameter came in a row with complex ones."""
        pairs = zip(parts, self.parameters, strict=True)
        return tuple(g + 0j if is_complex(p) and not is_complex(g) else g for g, p in pairs)

    def push(self, direction: Matrix, V: Array) -> Array:
        if self.fixed:
            return 0 * self.matmat(V)
        return self.static.each(self.static.push, [V], self.parameters, direction.parameters).mT

    def push_adjoint(self, direction: Matrix, U: Array) -> Array:
        """Return ``dA^H U``."""
        if self.fixed:
            return 0 * self.rmatmat(U)
        both = self.parameters, direction.parameters
        return self.static.each(self.static.push_adjoint, [U], *both).mT

    def __rmul__(self, factor: Any) -> Self:
        """Return the multiple by a number."""
        if not isinstance(factor, (int, float, complex, np.number)):
            raise TypeError(
                "an Operator can be multiplied by a Python number; got "
                f"{type(factor).__module__}.{type(factor).__qualname__}. Make it one of params, "
                "which are differentiated"
            )
        number = complex(factor)
        if number.imag and not self.static.is_complex:
            raise TypeError(
                f"a real Operator can be multiplied by a real number; got {factor!r}. With "
                "dtype=complex it is complex"
            )
        scalar = number if number.imag else number.real
        return self.build(self.parameters, replace(self.static, factor=scalar * self.static.factor))

    __mul__ = __rmul__


def _leaf(x: Any) -> Array:
    """Return one of the params as an array of a floating dtype."""
    x = as_array(float(x) if isinstance(x, int) else x, "each of params")
    if not any(kind in str(x.dtype) for kind in ("float", "complex")):
        raise TypeError(
            f"params are differentiated, so they must be real or complex; got dtype {x.dtype}, "
            f"shape {tuple(x.shape)}. Let matvec close over indices, flags and the like"
        )
    return x


def _precision(leaves: Sequence[Array], dtype: Any) -> str:
    """Return the precision in which a norm of these parameters is computed."""
    name = max(precision_of(p.dtype) for p in leaves)
    if dtype is not None and precision_of(dtype) != name:
        raise TypeError(
            f"dtype is {name_of(dtype)}, but with these params the precision is that of {name}; "
            "leave dtype out, or convert params"
        )
    return name


def _placeholder(library: str, name: str) -> Array:
    """Return the parameter of an operator that has none: it has its library and dtype."""
    if library == "torch":
        torch = sys.modules["torch"]
        return torch.zeros(1, dtype=getattr(torch, name))
    return sys.modules["jax"].numpy.zeros(1, name) if library == "jax" else np.zeros(1, name)
