r"""The largest singular triplet of a linear map that a step of training has moved.

A step moves the weights by more than the gaps between their leading singular values, so that these
change places; a block of a dozen vectors holds all that do. From the vectors V of the last
time, and ``M = A^H A``, a pass of the block Krylov method is

    K = [V, M V_j] = Q R,    Q^H M Q = X diag(theta) X^H,    V = Q X_b,    u = A v_1 / |A v_1|,

with V_j the leading columns of V, and X_b those of the b largest theta (Rayleigh-Ritz); in later
passes K also has the last change of the first few. As an update of low rank moves V within K, one
or two passes do. They end by the residual ``r = |A^H u - s v_1| / s``: v_1 has parts of singular
vectors outside of V alone, with values up to ``theta_b``, so that s is low by

    r^2 / (2 (1 - theta_b / theta_1)),    relative to s,

which is what is compared with the tolerance: where singular values crowd, r must be smaller.

All vectors are rows, for which products with a contiguous matrix are fast.

References
----------
C. Musco, C. Musco, Randomized block Krylov methods for stronger and faster approximate singular
value decomposition, NeurIPS 2015. B. N. Parlett, The symmetric eigenvalue problem, SIAM 1998,
theorem 11.7.1 (the error of a Ritz value by its residual and a gap).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from normgrad.arithmetic import gaussian

__all__ = ["Block", "Dense", "Map", "Triplet", "follow", "start"]

_ENTIRE = 40
"""Up to so many columns K is the entire space: its eigenvalue problem is sooner solved."""
_PASSES = 100

Map = Callable[[Tensor], Tensor]
"""The product of a matrix with each of some rows."""


class Block(NamedTuple):
    """How many vectors are kept, multiplied by M in a pass, and added with their last change."""

    kept: int
    expanded: int
    conjugate: int


@dataclass(frozen=True)
class Dense:
    """The matrices of a shape; the adjoint of one is followed if it has fewer columns."""

    m: int
    n: int

    alike = 1
    block = Block(24, 8, 4)

    @property
    def size(self) -> int:
        """Return the smaller side."""
        return min(self.m, self.n)

    def maps(self, A: Tensor) -> tuple[Map, Map]:
        """Return products of the matrix and its adjoint with each of some rows."""
        by, to = A.mT, A.conj()
        if self.m < self.n:
            by, to = to, by
        return lambda rows: rows @ by, lambda rows: rows @ to

    def gradient(self, A: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the norm by two vectors, their outer product."""
        return (v, u) if self.m < self.n else (u, v)


class Triplet(NamedTuple):
    """``A v = s u``, and how many singular values count as s, as `normgrad.Spectral` has it."""

    s: float
    u: Tensor
    v: Tensor
    multiplicity: int


def follow(
    forth: Map, back: Map, vectors: Tensor, block: Block, tol: float | None
) -> tuple[Triplet | None, Tensor]:
    """Return the largest triplet, or None if it is not found, and vectors to go on from.

    Parameters
    ----------
    forth, back : callable
        Products of A, with n columns, and of its adjoint with each of some rows.
    vectors : (k, n) tensor
        Of the last time.
    block : Block
    tol : float, optional
        The relative error of s that is allowed; by default 32 eps. With 0, the residual has
        to be at rounding level.
    """
    finfo, n = torch.finfo(vectors.dtype), vectors.shape[1]
    rounding = 8 * math.sqrt(n) * finfo.eps
    tol = 32 * finfo.eps if tol is None else tol
    # where squares of s and of its rounding errors neither over- nor underflow
    least, most = finfo.tiny / finfo.eps**2, finfo.max * finfo.eps**2
    tie = (1 - rounding) ** 2
    V, b, j = vectors, len(vectors), block.expanded
    entire = n <= _ENTIRE
    rest = [] if entire else [back(forth(V[-j:]))]
    for k in range(_PASSES):
        if entire:
            Q = torch.eye(n, dtype=V.dtype, device=V.device)
            Y = forth(Q)
        elif k == 0:
            Q = _orthonormal(torch.cat((V, *rest)))
            Y = forth(Q)
        else:  # V is orthonormal, and Y = A V
            new = torch.cat(rest)
            for _ in range(2):
                new = _orthonormal(new - (new @ V.mH) @ V)
            Q, Y = torch.cat((V, new)), torch.cat((Y, forth(new)))
        try:
            theta, X = torch.linalg.eigh(Y.conj() @ Y.mT)  # ascending, as V is
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            break
        X = X.mT[-b:]
        V, Y = X @ Q, X @ Y
        Z = back(Y[-j:])
        v, y, z = V[-1], Y[-1], Z[-1]  # A v = y, A^H y = z
        sizes = torch.linalg.vector_norm(torch.stack((z, z - theta[-1] * v)), dim=1)
        norm_z, residual, *theta_b = torch.cat((sizes, theta[-b:])).tolist()
        if not least < norm_z < most:
            break
        r, first, norm_y = residual / norm_z, theta_b[-1], math.sqrt(theta_b[-1])
        if entire or r <= rounding or r * r <= 2 * tol * (1 - theta_b[0] / first):
            multiplicity = sum(t >= first * tie for t in theta_b)
            return Triplet(norm_z / norm_y, y / norm_y, z / norm_z, multiplicity), V
        rest = [Z, X[-block.conjugate :, b:] @ Q[b:]]
    else:
        return None, V
    return None, start(block, n, vectors)


def _orthonormal(rows: Tensor) -> Tensor:
    return torch.linalg.qr(rows.mT).Q.mT


def start(block: Block, n: int, like: Tensor) -> Tensor:
    """Return vectors to begin with."""
    k = min(n, block.kept)
    if like.is_meta:
        return like.new_empty((k, n))
    return _orthonormal(gaussian((k, n), like)).contiguous()
