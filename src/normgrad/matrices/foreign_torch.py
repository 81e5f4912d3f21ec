"""Sparse tensors of PyTorch."""

import sys
import warnings
from typing import Any

from normgrad.arithmetic import Array
from normgrad.matrices.pattern import Pattern
from normgrad.matrices.sparse import Sparse

__all__ = ["sparse_of_torch"]


def sparse_of_torch(x: Any) -> Sparse | None:
    """Return a sparse tensor of PyTorch as `Sparse`, differentiably; None for others.

    Its pattern are the stored positions, also of zeros; duplicates (of COO) are added up.
    """
    torch = sys.modules["torch"]
    if not isinstance(x, torch.Tensor) or x.layout is torch.strided:
        return None
    layouts = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)
    if x.layout not in layouts:
        raise TypeError(
            f"got a tensor of layout {x.layout}, shape {tuple(x.shape)}; of the sparse layouts "
            "COO, CSR and CSC are supported: x.to_sparse_csr() gives one"
        )
    if x.ndim != 2 or x.dense_dim():
        raise ValueError(
            "a sparse tensor must be one matrix, with two sparse axes and neither batch nor dense "
            f"axes; got shape {tuple(x.shape)} with {x.sparse_dim()} sparse and {x.dense_dim()} "
            "dense axes. For a batch with one pattern there is normgrad.Sparse"
        )
    if x.layout is torch.sparse_coo:
        x = x.coalesce()
        rows, columns = x.indices()
        give = _give_coo
    else:
        by_row = x.layout is torch.sparse_csr
        starts = x.crow_indices() if by_row else x.ccol_indices()
        inner = x.col_indices() if by_row else x.row_indices()
        lines = torch.arange(starts.shape[0] - 1, device=starts.device)
        outer = torch.repeat_interleave(lines, starts.diff())
        rows, columns = (outer, inner.long()) if by_row else (inner.long(), outer)
        give = _Give("csr" if by_row else "csc", starts, inner)
    pattern = Pattern(rows, columns, tuple(x.shape), kind="torch", give=give)
    if x.layout is not torch.sparse_coo and not pattern.distinct:
        raise ValueError(
            f"got a tensor of layout {x.layout} with a position stored twice, which PyTorch does "
            "not allow: make it from torch.sparse_coo_tensor(...).coalesce()"
        )
    return Sparse.build((x.values(),), pattern)


def _give_coo(pattern: Pattern, values: Array) -> Any:
    torch = sys.modules["torch"]
    index = torch.stack([pattern.rows, pattern.columns])
    return torch.sparse_coo_tensor(
        index, values, pattern.shape, is_coalesced=True, check_invariants=False
    )


class _Give:
    """Makes a tensor of the compressed layout of the one given."""

    def __init__(self, name: str, starts: Array, inner: Array) -> None:
        self.name, self.starts, self.inner = name, starts, inner

    def __call__(self, pattern: Pattern, values: Array) -> Any:
        make = getattr(sys.modules["torch"], f"sparse_{self.name}_tensor")
        with warnings.catch_warnings():  # PyTorch calls them a beta
            warnings.simplefilter("ignore", UserWarning)
            return make(self.starts, self.inner, values, pattern.shape, check_invariants=False)
