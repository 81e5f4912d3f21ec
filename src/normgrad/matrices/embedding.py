"""A matrix type as a function of one array, which is how an engine has it."""

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

from normgrad.arithmetic import Array, namespace
from normgrad.matrices.base import Matrix

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding:
    """A matrix type with all but the values of its parameters, which come as one row each.

    The row, (..., 1, p), holds the parameters one after the other; so every engine has a
    structured matrix as the one array that it differentiates.
    """

    kind: type[Matrix]
    static: Hashable
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, A: Matrix) -> "Embedding":
        """Return the embedding of a matrix."""
        shapes = tuple(
            tuple(p.shape[p.ndim - rank :]) for p, rank in zip(A.parameters, A.ranks, strict=True)
        )
        return cls(type(A), A.static, shapes)

    def split(self) -> tuple[tuple[Array, ...], "Embedding"]:
        """Return the traced arrays in what is static, and the embedding without them."""
        arrays, static = self.kind.split(self.static)
        return arrays, replace(self, static=static)

    def joined(self, arrays: tuple[Array, ...]) -> "Embedding":
        """Return what `split` took apart, with these arrays."""
        return replace(self, static=self.kind.joined(self.static, arrays))

    def rows(self, x: Array) -> list[Array]:
        """Return the part of the row that belongs to each parameter, (..., 1, size)."""
        sizes = [math.prod(shape) for shape in self.shapes]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        return [x[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def at(self, rows: list[Array]) -> Matrix:
        """Return the matrix with the parameters in these rows."""
        xp = namespace(rows[0])
        batch = tuple(rows[0].shape[:-2])
        parameters = tuple(
            xp.reshape(row, batch + shape) for row, shape in zip(rows, self.shapes, strict=True)
        )
        return self.kind.build(parameters, self.static)

    def row(self, parameters: tuple[Array, ...], batch: tuple[int, ...]) -> Array:
        """Return parameters, or gradients in them, as one row."""
        xp = namespace(parameters[0])
        rows = [xp.reshape(p, (*batch, 1, -1)) for p in parameters]
        return rows[0] if len(rows) == 1 else xp.concat(rows, axis=-1)
