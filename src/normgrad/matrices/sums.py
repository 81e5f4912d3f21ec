"""Sums and transposes of matrices of any type."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, final

from normgrad.arithmetic import Array, conj, is_complex
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import one_library
from normgrad.matrices.dense import Dense
from normgrad.matrices.foreign import as_matrix

__all__ = ["Sum", "Transpose"]


class _Composite(Matrix):
    """A matrix made of others; its parameters are theirs, one after the other."""

    scaling: ClassVar = "none"

    @cached_property
    def terms(self) -> tuple[Matrix, ...]:
        """Return the matrices that it is made of."""
        return _parts(self.static, self.parameters)

    def _compose(self, terms: Sequence[Matrix]) -> None:
        static = tuple((type(t), t.static, len(t.parameters)) for t in terms)
        self.set(tuple(p for t in terms for p in t.parameters), static)

    @classmethod
    def portable(cls, static: Any) -> bool:
        return all(kind.portable(inner) for kind, inner, _ in static)

    @classmethod
    def split(cls, static: Any) -> tuple[tuple[Array, ...], Any]:
        parts = [kind.split(inner) for kind, inner, _ in static]
        rest = tuple(
            (kind, left, count, len(arrays))
            for (kind, _, count), (arrays, left) in zip(static, parts, strict=True)
        )
        found = tuple(x for arrays, _ in parts for x in arrays)
        return (found, rest) if found else ((), static)

    @classmethod
    def joined(cls, static: Any, arrays: tuple[Array, ...]) -> Any:
        if not arrays:
            return static
        terms, start = [], 0
        for kind, inner, count, own in static:
            terms.append((kind, kind.joined(inner, arrays[start : start + own]), count))
            start += own
        return tuple(terms)

    @property
    def fixed(self) -> bool:
        return all(term.fixed for term in self.terms)

    @property
    def model(self) -> Array:
        models = [term.model for term in self.terms]
        return next((x for x in models if is_complex(x)), models[0])

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(rank for term in self.terms for rank in term.ranks)


def _parts(static: Any, parameters: tuple[Array, ...]) -> tuple[Matrix, ...]:
    terms, start = [], 0
    for kind, inner, count in static:
        terms.append(kind.build(parameters[start : start + count], inner))
        start += count
    return tuple(terms)


@final
class Sum(_Composite):
    r"""The sum of matrices of any type, such as sparse + low rank; ``A + B`` makes one.

    Parameters
    ----------
    *terms : matrix, array or sparse array
        Of one shape and library.

    Notes
    -----
    A product with vectors costs the sum of the terms'. The spectral and Ky Fan norms need
    nothing else; for other norms the sum is formed as an array, which is limited to moderate
    sizes.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Diagonal(np.ones(3)) + normgrad.LowRank(np.ones((3, 1)), np.ones((1, 3)))
    >>> round(float(normgrad.matrix_norm(A, 2)), 12)
    4.0
    """

    def __init__(self, *terms: Any) -> None:
        matrices = [Dense(t) if (A := as_matrix(t)) is None else A for t in terms]
        if not matrices:
            raise ValueError("a sum needs at least one term; got none")
        flat = [part for t in matrices for part in (t.terms if isinstance(t, Sum) else (t,))]
        for term in flat:
            if term.shape != flat[0].shape:
                raise ValueError(
                    f"the terms of a sum must have one shape; got {[t.shape for t in flat]}"
                )
        one_library([p for t in flat for p in t.parameters], "the terms of a sum")
        self._compose(flat)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.terms[0].shape

    def matmat(self, V: Array) -> Array:
        first, *rest = (term.matmat(V) for term in self.terms)
        return sum(rest, start=first)

    def rmatmat(self, U: Array) -> Array:
        first, *rest = (term.rmatmat(U) for term in self.terms)
        return sum(rest, start=first)

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        return tuple(G for term in self.terms for G in term.pull(left, right))

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        return tuple(g for term in self.terms for g in term.pull_dense(G))

    def dense(self) -> Array:
        first, *rest = (term.dense() for term in self.terms)
        return sum(rest, start=first)

    def push(self, direction: Matrix, V: Array) -> Array:
        pairs = zip(self.terms, _parts(self.static, direction.parameters), strict=True)
        first, *rest = (term.push(part, V) for term, part in pairs)
        return sum(rest, start=first)

    def push_dense(self, direction: Matrix) -> Array:
        pairs = zip(self.terms, _parts(self.static, direction.parameters), strict=True)
        first, *rest = (term.push_dense(part) for term, part in pairs)
        return sum(rest, start=first)

    def push_adjoint(self, direction: Matrix, U: Array) -> Array:
        pairs = zip(self.terms, _parts(self.static, direction.parameters), strict=True)
        first, *rest = (term.push_adjoint(part, U) for term, part in pairs)
        return sum(rest, start=first)

    def pull_derivative(
        self, direction: Matrix, left: Array, right: Array
    ) -> tuple[Array, ...] | None:
        results: list[Array] = []
        for term, part in zip(self.terms, _parts(self.static, direction.parameters), strict=True):
            own = term.pull_derivative(part, left, right)
            results += [0 * p for p in part.parameters] if own is None else own
        return tuple(results)

    def __rmul__(self, factor: Any) -> "Sum":
        return Sum(*(factor * term for term in self.terms))

    __mul__ = __rmul__

    def transposed(self) -> "Sum":
        return Sum(*(term.T for term in self.terms))


@final
class Transpose(_Composite):
    """The transpose of a matrix that has no shorter one; ``A.T`` makes it.

    Parameters
    ----------
    matrix : matrix

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.Diagonal(np.ones(2), shape=(2, 3)).T.shape
    (3, 2)
    """

    def __init__(self, matrix: Matrix) -> None:
        self._compose((matrix,))

    @property
    def shape(self) -> tuple[int, ...]:
        *batch, m, n = self.terms[0].shape
        return (*batch, n, m)

    def matmat(self, V: Array) -> Array:
        return conj(self.terms[0].rmatmat(conj(V)))

    def rmatmat(self, U: Array) -> Array:
        return conj(self.terms[0].matmat(conj(U)))

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        # <left right^H, A^T> = <conj(right) left^T, A>
        return self.terms[0].pull(conj(right), conj(left))

    def push(self, direction: Matrix, V: Array) -> Array:
        (part,) = _parts(self.static, direction.parameters)
        return conj(self.terms[0].push_adjoint(part, conj(V)))

    def push_adjoint(self, direction: Matrix, U: Array) -> Array:
        (part,) = _parts(self.static, direction.parameters)
        return conj(self.terms[0].push(part, conj(U)))

    def __rmul__(self, factor: Any) -> "Transpose":
        return Transpose(factor * self.terms[0])

    __mul__ = __rmul__

    def pull_derivative(
        self, direction: Matrix, left: Array, right: Array
    ) -> tuple[Array, ...] | None:
        (part,) = _parts(self.static, direction.parameters)
        return self.terms[0].pull_derivative(part, conj(right), conj(left))

    def transposed(self) -> Matrix:
        return self.terms[0]
