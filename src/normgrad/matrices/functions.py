"""Linear maps given as functions that depend on parameters, and what follows from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from normgrad.arithmetic import (
    TRANSFORMS,
    Array,
    Transforms,
    device,
    is_complex,
    mapped,
    namespace,
    real,
)
from normgrad.matrices.trees import Branch, unflatten

__all__ = ["LinearMap", "Named"]

Arrays = Sequence[Array]


class Named:
    """A function that is equal to itself alone, whatever it holds."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        owner = getattr(f, "__self__", None)
        function = id(f) if owner is None else (id(owner), getattr(f, "__name__", id(f)))
        self._key = (type(self), function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __call__(self, *arguments: Any) -> Any:
        """Return the function of the arguments."""
        return self.f(*arguments)


@dataclass(frozen=True)
class LinearMap:
    """A map ``v -> A(p) v`` for one matrix, with vectors in rows: (k, n) to (k, m).

    Parameters
    ----------
    matvec, rmatvec : Named
        Of a vector and the parameters; of matrices of columns, if `blocks`.
    shape : (m, n)
    library : str
    is_complex : bool
        Whether vectors are.
    structure : Branch or None
        Of the parameters.
    ranks, complex_leaves : tuple
        How many axes each parameter has, and whether it is complex.
    dtype : str, optional
        Of vectors, where there are no parameters that have one.
    """

    matvec: Named
    rmatvec: Named | None
    shape: tuple[int, int]
    library: str
    is_complex: bool
    structure: Branch | None = None
    ranks: tuple[int, ...] = ()
    complex_leaves: tuple[bool, ...] = ()
    dtype: str | None = None
    blocks: bool = False
    factor: complex = 1

    @property
    def transforms(self) -> Transforms:
        """Return the transforms of the library."""
        return TRANSFORMS[self.library]

    def forth(self, R: Array, p: Arrays) -> Array:
        """Return ``A v`` for each row v."""
        m, n = self.shape
        rows = self._rows("matvec", self.matvec, (n, m), R, p)
        return rows if self.factor == 1 else self.factor * rows

    def back(self, R: Array, p: Arrays) -> Array:
        """Return ``A^H u`` for each row u."""
        m, n = self.shape
        f = self.rmatvec or self._transposed
        rows = self._rows("rmatvec", f, (m, n), R, p)
        return rows if self.factor == 1 else self.factor.conjugate() * rows

    def _transposed(self, u: Array, *params: Any) -> Array:
        m, n = self.shape
        v = namespace(u).zeros((n,), dtype=u.dtype, device=device(u))
        f = lambda v: _called("matvec", self.matvec, (n, m), v, *params)  # noqa: E731
        return self.transforms.adjoint(f, v, u)

    def _rows(
        self, name: str, f: Callable[..., Any], sizes: tuple[int, int], R: Array, p: Arrays
    ) -> Array:
        xp = namespace(R)
        if is_complex(R) and not self.is_complex:
            # a real map: users may have written it for real vectors alone
            parts = (self._rows(name, f, sizes, part, p) for part in (xp.real(R), xp.imag(R)))
            return next(parts) + 1j * next(parts)
        if self.is_complex and not is_complex(R):
            R = R + 0j
        if self.dtype is not None:
            R = xp.astype(R, getattr(xp, self.dtype))
        if self.blocks:
            return f(R.mT).mT

        def one(v: Array, *leaves: Array) -> Array:
            return _called(name, f, sizes, v, *unflatten(self.structure, leaves))

        return mapped(self.library, one, [1, *self.ranks], [R, *p])

    def pull(self, left: Array, right: Array, p: Arrays) -> tuple[Array, ...]:
        """Return the gradient in each parameter of ``Re sum_i <left_i, A(p) right_i>``."""
        return tuple(self.transforms.vjp(lambda *p: self.forth(right, p), tuple(p), left))

    def pull_derivative(self, left: Array, right: Array, p: Arrays, dp: Arrays) -> Any:
        """Return its derivative in a direction of the parameters."""
        return self.transforms.jvp(lambda *p: self.pull(left, right, p), tuple(p), tuple(dp))

    def push(self, R: Array, p: Arrays, dp: Arrays) -> Array:
        """Return ``dA v`` for each row v."""
        return self.transforms.jvp(lambda *p: self.forth(R, p), tuple(p), tuple(dp))

    def push_adjoint(self, R: Array, p: Arrays, dp: Arrays) -> Array:
        """Return ``dA^H u`` for each row u."""
        return self.transforms.jvp(lambda *p: self.back(R, p), tuple(p), tuple(dp))

    def each(self, f: Callable[..., Any], columns: list[Array], *of: Arrays) -> Any:
        """Return f of matrices, their columns in rows, and parameters; for each in a batch."""
        leaves = [
            # (a real parameter may come in a row with complex ones)
            p if complex_leaf else real(p)
            for parameters in of
            for p, complex_leaf in zip(parameters, self.complex_leaves, strict=False)
        ]
        count = len(self.ranks)

        def one(*arrays: Array) -> Any:
            rows, flat = arrays[: len(columns)], arrays[len(columns) :]
            return f(*rows, *(flat[i * count : (i + 1) * count] for i in range(len(of))))

        ranks = [2] * len(columns) + list(self.ranks) * len(of)
        return mapped(self.library, one, ranks, [*(x.mT for x in columns), *leaves])


def _called(name: str, f: Callable[..., Any], sizes: tuple[int, int], *arguments: Any) -> Array:
    y = f(*arguments)
    if tuple(getattr(y, "shape", ())) != sizes[1:]:
        raise ValueError(
            f"{name} must return a vector of shape ({sizes[1]},) for one of shape ({sizes[0]},); "
            f"got {getattr(y, 'shape', None) and tuple(y.shape)}"
        )
    return y
