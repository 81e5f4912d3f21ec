"""Arguments that are matrices with structure, brought into one row of parameters."""

import math
from typing import Any

from normgrad._axes import two_axes
from normgrad.arithmetic import COMPUTED_IN, NATIVE, Array, dtype_name, half_of_value
from normgrad.calculus import NormOfStructure, NormRule
from normgrad.engines import Engine, engine_of
from normgrad.matrices import Embedding, Fixed, LowRank, Matrix
from normgrad.norms import Norm

__all__ = ["StructuredArgument"]


class StructuredArgument:
    """A matrix type: whose it is, and its parameters as one row (..., 1, p)."""

    engine: Engine
    x: Array

    def __init__(self, A: Matrix, axis: Any, engine: Engine | None = None) -> None:
        pair, last = two_axes(axis, A.ndim, A.shape), (A.ndim - 2, A.ndim - 1)
        if pair != last:
            hint = "; for the transpose pass x.T" if pair == last[::-1] else ""
            raise ValueError(
                f"a {type(A).__name__} of shape {A.shape} has its matrix axes last, (-2, -1); got "
                f"axis={axis!r}{hint}"
            )
        if A.fixed:
            A = Fixed(A)
        self.engine = engine_of(*A.parameters) if engine is None else engine
        self.matrix = A
        self.shape = A.shape
        self.batch = tuple(A.shape[:-2])
        for p, rank in zip(A.parameters, A.ranks, strict=True):
            if tuple(p.shape[: p.ndim - rank]) != self.batch:
                raise ValueError(
                    f"the parameters of a {type(A).__name__} must have the same batch axes; got "
                    f"shapes {[tuple(q.shape) for q in A.parameters]}"
                )
        self.embedding = Embedding.of(A)
        self.dtypes = [self._floating(p) for p in A.parameters]
        self.dtype = self._common()
        rows = []
        for p, shape in zip(A.parameters, self.embedding.shapes, strict=True):
            row = self.engine.reshape(self.engine.dense(p), (*self.batch, 1, math.prod(shape)))
            rows.append(self.engine.astype(row, self.dtype))
        self.x = rows[0] if len(rows) == 1 else self.engine.concatenate(rows)

    def _floating(self, p: Array) -> str:
        name = dtype_name(p.dtype)
        if name == "bool" or name.startswith(("int", "uint")):
            return dtype_name(self.engine.default_float())
        if name not in (*COMPUTED_IN, *NATIVE):
            raise TypeError(
                f"the parameters of a {type(self.matrix).__name__} must be real or complex "
                f"numbers; got dtype {name!r}. Supported: integers, float16, bfloat16, float32, "
                "float64, complex64, complex128"
            )
        return name

    def _common(self) -> str:
        """Return the dtype that holds all parameters."""
        names = {COMPUTED_IN.get(name, name) for name in self.dtypes}
        double = names & {"float64", "complex128"}
        if names & {"complex64", "complex128"} or "complex" in dtype_name(self.matrix.dtype):
            return "complex128" if double else "complex64"
        return "float64" if double else "float32"

    def norm_rule(self, norm: Norm, method: str) -> NormRule:
        return NormOfStructure(norm, method, self.embedding)

    def check_auto(self, method: str) -> None:
        """Raise ValueError if a way is named where the type has only one."""
        if method != "auto":
            raise ValueError(
                f"method={method!r} is for arrays; a {type(self.matrix).__name__} has one way to "
                "its proximal maps and projections, 'auto'"
            )

    def like_value(self, value: Array, keepdims: bool = False) -> Array:
        """Cast a number per matrix to the precision of the parameters."""
        if keepdims:
            value = self.engine.reshape(value, (*value.shape, 1, 1))
        return self.engine.astype(value, half_of_value(self.dtypes[0])) if self.is_half else value

    @property
    def is_half(self) -> bool:
        """Whether all parameters have half precision."""
        return set(self.dtypes) <= set(COMPUTED_IN)

    def _rounded(self, factor: Array) -> Array:
        return self.engine.astype(factor, self.dtypes[0]) if self.is_half else factor

    def like_matrix(self, G: Array) -> Any:
        """Return a row as a matrix of the type of the argument, in the form that was given."""
        if isinstance(self.matrix, Fixed):
            return self.matrix.gradient(G)
        parts, start = [], 0
        for shape, dtype in zip(self.embedding.shapes, self.dtypes, strict=True):
            stop = start + math.prod(shape)
            part = self.engine.reshape(G[..., start:stop], (*self.batch, *shape))
            if "complex" in self.dtype and "complex" not in dtype:
                part = self.engine.real(part)
            parts.append(self.engine.astype(part, dtype))
            start = stop
        return self.matrix.replace(tuple(parts)).given()

    def as_factors(self, row: Array) -> LowRank:
        """Return the matrix with the factors in a row, (m, r) and (r, n)."""
        m, n = self.shape[-2:]
        r = row.shape[-1] // max(m + n, 1)
        left = self.engine.reshape(row[..., : m * r], (*self.batch, m, r))
        right = self.engine.reshape(row[..., m * r :], (*self.batch, r, n))
        return LowRank.build(tuple(self._rounded(x) for x in (left, right)), None)
