r"""Norms of matrices with structure: the calculus where the parameters live.

A structured matrix reaches an engine as one row of parameters, theta, (..., 1, p), and its norm
is a function of that row, with value, gradient and a self-adjoint second derivative like any
other norm. With the embedding ``theta -> A``, its derivative ``J`` and the adjoint ``J^*``,

    grad = J^* G,    d grad = J^* D(J dtheta) + (dJ^*) G,

where G and D are gradient and second derivative in the space of matrices. How they are had without
forming a matrix is what differs between structures: `normgrad.calculus.structures`.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

from normgrad.arithmetic import Array, namespace, real, shift
from normgrad.calculus.by_singular_values import ZeroDerivative
from normgrad.calculus.normalise import Normalised, cleared, lead, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule
from normgrad.calculus.structures import choose
from normgrad.calculus.structures.base import Structure
from normgrad.matrices import (
    PSD,
    BlockDiagonal,
    Diagonal,
    Embedding,
    Hermitian,
    Kronecker,
    LowRank,
    Matrix,
)
from normgrad.norms import Norm

__all__ = ["NormOfStructure", "Scaled", "StructuredDerivative", "is_empty"]


_OF_ARRAYS = (Diagonal, BlockDiagonal, Hermitian, PSD, LowRank, Kronecker)
"""Types that hold nothing but arrays, of whichever library."""


class Scaled(NamedTuple):
    """Parameters with powers of two taken out, so that ``A = 2**sum(exponents) A_scaled``."""

    rows: tuple[Normalised, ...]

    @classmethod
    def of(cls, embedding: Embedding, x: Array, norm: Norm) -> "Scaled":
        scaling = embedding.kind.scaling
        if scaling == "none":
            return cls((Normalised(x, None, None),))
        if norm.degree is None:
            return cls((cleared(x),))
        return cls(tuple(map(normalise, embedding.rows(x) if scaling == "each" else [x])))

    def matrix(self, embedding: Embedding) -> Matrix:
        rows = [row.matrix for row in self.rows]
        if len(rows) == 1:
            rows = embedding.rows(rows[0])
        return embedding.at(rows)

    def without_matrix(self) -> "Scaled":
        return Scaled(tuple(row.without_matrix() for row in self.rows))

    @property
    def exponent(self) -> Any:
        """Return that of A."""
        return sum(_exponent(row) for row in self.rows)

    def value(self, value: Array, degree: int | None) -> Array:
        """Return what has a degree in A, as a norm has 1; NaN or inf where a parameter is."""
        value = _shifted(value, (degree or 0) * self.exponent)
        xp = namespace(value)
        for row in self.rows:
            if row.size is not None:
                value = xp.where(xp.isfinite(row.size), value, row.size)
        return value

    def with_step(self, t: Array, degree: int | None) -> tuple["Scaled", Array]:
        """Return this, and a proximal step per matrix scaled like A; see `Normalised`."""
        first, *rest = self.rows
        exponent = self.exponent
        whole = Normalised(None, None if isinstance(exponent, int) else exponent, first.size)
        whole, t = whole.with_step(t, degree)
        return Scaled((first._replace(size=whole.size), *rest)), t

    def restored(self, x: Array, embedding: Embedding) -> Array:
        """Return parameters, as one row, with the powers of two that were taken out."""
        return self._shifted(x, embedding, [_exponent(row) for row in self.rows])

    def gradient(
        self, x: Array, embedding: Embedding, degree: int | None, exponent: Any = 0
    ) -> Array:
        """Return a gradient in the parameters, from one at the scaled parameters.

        It is that of what has a degree in A, and has a power of two besides, if `exponent` is not
        0.
        """
        total = (degree or 0) * self.exponent + exponent
        return self._shifted(x, embedding, [total - _exponent(row) for row in self.rows])

    def _shifted(self, x: Array, embedding: Embedding, exponents: list[Any]) -> Array:
        """Return a row with a power of two in each of its parts, marked."""
        parts = embedding.rows(x) if len(self.rows) > 1 else [x]
        parts = [_shifted(p, _lead(e, p)) for p, e in zip(parts, exponents, strict=True)]
        return self.marked(parts[0] if len(parts) == 1 else namespace(x).concat(parts, axis=-1))

    def marked(self, x: Array) -> Array:
        """Return x, with NaN for each matrix with a parameter that is not finite."""
        return restore(x, *((row, 0) for row in self.rows))

    def direction(self, embedding: Embedding, E: Array) -> tuple["Scaled", Array, Any]:
        """Return a direction scaled like the parameters, and by another power of two.

        The results: which of its entries are finite, the scaled direction, that power.
        """
        each = len(self.rows) > 1
        given = Scaled(tuple(map(normalise, embedding.rows(E) if each else [E])))
        exponents = [
            _exponent(d) - _lead_of(_exponent(row), d)
            for d, row in zip(given.rows, self.rows, strict=True)
        ]
        top = exponents[0]
        for e in exponents[1:]:
            top = _larger(top, e)
        parts = [
            _shifted(d.matrix, _lead(e - top, d.matrix))
            for d, e in zip(given.rows, exponents, strict=True)
        ]
        E = parts[0] if len(parts) == 1 else namespace(E).concat(parts, axis=-1)
        return given.without_matrix(), E, top


def _exponent(row: Normalised) -> Any:
    return 0 if row.exponent is None else row.exponent


def _larger(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    array = b if isinstance(a, int) else a
    xp = namespace(array)
    return xp.maximum(a + xp.zeros_like(array), b + xp.zeros_like(array))


def _shifted(x: Array, exponent: Any) -> Array:
    return x if isinstance(exponent, int) and exponent == 0 else shift(x, exponent)


def _lead(per_matrix: Any, X: Array) -> Any:
    """Give one number per matrix the batch axes of X, (..., 1, p), which may have more in front."""
    if isinstance(per_matrix, int):
        return per_matrix
    return lead(per_matrix, X)


def _lead_of(per_matrix: Any, d: Normalised) -> Any:
    return _lead(per_matrix, d.matrix)


@final
@dataclass(frozen=True)
class StructuredDerivative:
    """The derivative of the gradient in the parameters, at one matrix."""

    parameters: tuple[Array, ...]
    state: Any
    scaled: Scaled
    embedding: Embedding
    degree: int | None

    @property
    def portable(self) -> bool:
        """Whether it may be compiled once for all."""
        return self.embedding.kind.portable(self.embedding.static)

    def __call__(self, E: Array) -> Array:
        given, row, exponent = self.scaled.direction(self.embedding, E)
        direction = self.embedding.at(self.embedding.rows(row))
        A = self.embedding.kind.build(self.parameters, self.embedding.static)
        parts = self.state.apply(A, direction)
        x = self.embedding.row(parts, tuple(E.shape[:-2]))
        return given.marked(self.scaled.gradient(x, self.embedding, self.degree, exponent))


def is_empty(embedding: Embedding, x: Array) -> bool:
    """Whether the matrix with the parameters x has no entries, or no parameters."""
    return 0 in x.shape or 0 in embedding.at(embedding.rows(x)).shape


@final
@dataclass(frozen=True)
class NormOfStructure(NormRule):
    """A norm of a matrix of some type, as a function of its parameters in one row."""

    norm: Norm
    method: str
    embedding: Embedding

    @property
    def any_library(self) -> bool:
        return self.norm.any_library and self.embedding.kind in _OF_ARRAYS

    @property
    def portable(self) -> bool:
        return self.embedding.kind.portable(self.embedding.static)

    def split(self) -> tuple[tuple[Array, ...], "NormOfStructure"]:
        arrays, embedding = self.embedding.split()
        return arrays, replace(self, embedding=embedding)

    def joined(self, arrays: tuple[Array, ...]) -> "NormOfStructure":
        return replace(self, embedding=self.embedding.joined(arrays))

    def settled(self, A: Array) -> "NormOfStructure":
        return self

    def structure(self, A: Matrix) -> Structure:
        """Return how triplets of A are had."""
        return choose(A, self.norm, self.method)

    def value(self, x: Array) -> Array:
        if is_empty(self.embedding, x):
            return namespace(x).sum(0 * real(x), axis=(-2, -1))
        scaled = Scaled.of(self.embedding, x, self.norm)
        A = scaled.matrix(self.embedding)
        return scaled.value(self.structure(A).value(A), self.norm.degree)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        if is_empty(self.embedding, x):
            return self.value(x), namespace(x).zeros_like(x)
        scaled = Scaled.of(self.embedding, x, self.norm)
        A = scaled.matrix(self.embedding)
        value, parts = self.structure(A).value_and_gradient(A)
        row = self.embedding.row(parts, tuple(x.shape[:-2]))
        degree = self.norm.degree
        return scaled.value(value, degree), scaled.gradient(row, self.embedding, degree)

    def linearized(self, x: Array) -> tuple[Array, Array, Derivative]:
        return (*self.value_and_gradient(x), self.derivative(x))

    def derivative(self, x: Array) -> Derivative:
        if is_empty(self.embedding, x):
            return ZeroDerivative()
        scaled = Scaled.of(self.embedding, x, self.norm)
        A = scaled.matrix(self.embedding)
        state = self.structure(A).derivative(A)
        return StructuredDerivative(
            A.parameters, state, scaled.without_matrix(), self.embedding, self.norm.degree
        )

    def name(self) -> str:
        raise NotImplementedError(
            "torch.compile cannot take a matrix type into a compiled graph; call the norm outside "
            "the compiled function"
        )
