"""Matrices known by their stored values."""

import sys
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np

from normgrad.arithmetic import Array, is_traced
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import as_array, check_axes, check_shape, like_parameter
from normgrad.matrices.pattern import Pattern, Product

__all__ = ["Sparse"]


@final
class Sparse(Matrix):
    r"""A matrix that is zero but for values stored at some positions.

    Every function takes the sparse arrays of SciPy, PyTorch and JAX as they are, and returns
    gradients of the same type and format; this type is for where the derivative in the values
    themselves is wanted: second derivatives and forward mode in PyTorch, whose constructors
    of sparse tensors have none, or HIPS autograd.

    Parameters
    ----------
    values : (..., p) array
        A batch has one pattern.
    indices : pair of (p,) integer arrays
        Rows and columns, distinct, in any order.
    shape : pair of int

    Notes
    -----
    The gradient is that of the norm on matrices with this pattern: the entries in the pattern of
    the subgradient of least norm. A stored zero is part of the pattern. Duplicates in sparse
    arrays of the libraries are added up first, so the gradient has each position once; for
    format dia the pattern is all of the stored diagonals, for bsr all of the stored blocks. In
    a `Sum` such a matrix is a term of this type; ``term.given()`` is that of its library.

    What PyTorch's constructors do not differentiate: a second time in values that
    ``torch.sparse_coo_tensor`` or ``sparse_csr_tensor`` took, in forward mode, and a second time in
    CSR leaves. Second derivatives in COO leaves, and all of them by this type, work.

    Frobenius, 1, -1, inf and -inf cost one pass over the values; the spectral and Ky Fan
    norms some tens of products. For other norms, and for second derivatives of these, the
    matrix is formed as an array, which is limited to 2**25 entries.

    Raises
    ------
    ValueError, TypeError
        If the indices are not integers, not distinct, or outside the shape.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Sparse(np.array([3.0, 4.0]), ([0, 1], [2, 2]), (2, 3))
    >>> value, gradient = normgrad.value_and_grad(A, 2)
    >>> round(float(value), 12), [round(float(g), 12) for g in gradient.values]
    (5.0, [0.6, 0.8])
    """

    names: ClassVar = ("values",)
    values: Array
    static: Pattern

    def __init__(self, values: Any, indices: Any, shape: tuple[int, int]) -> None:
        values = as_array(values, "values")
        check_axes(values, 1, "values")
        m, n = check_shape(shape, "a sparse matrix")
        try:
            first, second = indices
        except (TypeError, ValueError):
            raise TypeError(
                "indices must be a pair, (rows, columns), each an array of integers of the length "
                f"of values; got {indices!r}"
            ) from None
        rows, columns = _index_array(first, values), _index_array(second, values)
        if not values.shape[-1:] == tuple(rows.shape) == tuple(columns.shape):
            raise ValueError(
                "values (..., p), rows (p,) and columns (p,) must have the same length; got "
                f"shapes {tuple(values.shape)}, {tuple(rows.shape)} and {tuple(columns.shape)}"
            )
        if rows.shape[0]:
            for index, size, what in ((rows, m, "row"), (columns, n, "column")):
                least, most = int(index.min()), int(index.max())
                if least < 0 or most >= size:
                    raise ValueError(
                        f"{what} indices must be from 0 to {size - 1}; got {least} to {most}"
                    )
        pattern = Pattern(rows, columns, (m, n))
        if not pattern.distinct:
            raise ValueError("positions must be distinct; got one twice: sum its values before")
        self.set((values,), pattern)

    @classmethod
    def portable(cls, static: Any) -> bool:
        return False  # the indices are arrays of a library

    @classmethod
    def split(cls, static: Any) -> tuple[tuple[Array, ...], Any]:
        if not is_traced(static.rows):
            return (), static
        return (static.rows, static.columns), static.with_indices(None, None)

    @classmethod
    def joined(cls, static: Any, arrays: tuple[Array, ...]) -> Any:
        return static.with_indices(*arrays) if arrays else static

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.parameters[0].shape[:-1], *self.static.shape)

    @property
    def ranks(self) -> tuple[int, ...]:
        return (1,)

    @property
    def rank_bound(self) -> int:
        return min(*self.static.shape, self.parameters[0].shape[-1])

    @cached_property
    def _products(self) -> tuple[Product, Product]:
        return self.static.products(self.parameters[0])

    def matmat(self, V: Array) -> Array:
        return self._products[0](V)

    def rmatmat(self, U: Array) -> Array:
        return self._products[1](U)

    def dense(self) -> Array:
        return self.static.dense(self.parameters[0])

    def push_dense(self, direction: Matrix) -> Array:
        return direction.dense()

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        return (like_parameter(self.static.outer(left, right), self.parameters[0]),)

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        return (like_parameter(self.static.at(G), self.parameters[0]),)

    def pull_itself(self) -> tuple[Array, ...]:
        return self.parameters

    def transposed(self) -> "Sparse":
        return self.build(self.parameters, self.static.transposed)

    def given(self) -> Any:
        give = self.static.give
        return self if give is None else give(self.static, self.parameters[0])


def _index_array(index: Any, values: Array) -> Array:
    """Return indices as an array of PyTorch if the values are, else of NumPy."""
    if is_traced(index):
        raise TypeError(
            "the indices of a Sparse must be known, and these are traced: take them from outside "
            "the compiled function, or pass a BCOO to it"
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        index = torch.as_tensor(index, device=values.device)
        is_integer = not (index.is_floating_point() or index.is_complex())
    else:
        index = np.asarray(index)
        is_integer = index.dtype.kind in "iu"
    if index.ndim != 1 or not (is_integer or 0 in index.shape):
        raise TypeError(
            "indices must be a pair of arrays of integers with one axis; got dtype "
            f"{index.dtype}, shape {tuple(index.shape)}"
        )
    return index.astype(np.int64) if isinstance(index, np.ndarray) else index.long()
