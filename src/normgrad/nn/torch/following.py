r"""The largest singular triplet of a weight, in few calls: at once, or from the last one's vectors.

*Small*: ``M = A^H A`` has all that matters, as nothing is lost in it of the largest singular value.
A high power of it, by a few products, is that of the leading eigenvectors alone: times a few random
vectors it spans a space in which the triplets are taken (Rayleigh-Ritz), if they are right to
rounding; if there are too many large ones, by all eigenvectors of M.

*Large*: a step of training moves a weight by more than the gaps between its leading
singular values, so that these change places; a block of two dozen vectors holds all that do.
From the vectors V of the last time, a pass of the block Krylov method is

    K = [V, M V_j, M^2 V_i] = Q R,    Q^H M Q = X diag(theta) X^H,    V = Q X_b,
    u = A v_1 / |A v_1|,

with V_j and V_i the leading columns of V, and X_b those of the b largest theta (Rayleigh-Ritz); in
later passes K also has the last change of the first few. As V moves within K, one or two passes
do. They end by the residual ``r = |A^H u - s v_1| / s``: v_1 has parts of singular vectors
outside of V alone, with values up to ``theta_b``, so that s is low by

    r^2 / (2 (1 - theta_b / theta_1)),    relative to s,

which is what is compared with the tolerance: where singular values crowd, r must be smaller.

Of a matrix that falls apart, into blocks without rows or columns in common, V may be
orthogonal to what overtakes it, and r would not show it. Such a matrix, (m, n), has at least
``m + n - 2`` zeros; with as many it is not followed.

All vectors are rows, for which products with a contiguous matrix are fast.

References
----------
C. Musco, C. Musco, Randomized block Krylov methods for stronger and faster approximate singular
value decomposition, NeurIPS 2015. B. N. Parlett, The symmetric eigenvalue problem, SIAM 1998,
theorem 11.7.1 (the error of a Ritz value by its residual and a gap).
"""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from normgrad.arithmetic import gaussian

__all__ = ["Triplet", "computed_triplet", "follow", "start"]

_SMALL = 128
"""Up to so many columns nothing is followed."""
_POWERS_FROM = 40
_DOMINANT = 12
_KEPT = 22
_FIRST, _SECOND = 6, 4
"""So many vectors are multiplied by M, and by M^2."""
_CONJUGATE = 4
_PASSES = 25
"""With more a factorization afresh costs less."""


class Triplet(NamedTuple):
    """``A v = s u``, and whether another singular value counts as s, as `normgrad.Spectral` has it.

    s is a number, u and v are vectors.
    """

    s: float
    u: Tensor
    v: Tensor
    tied: bool


def start(A: Tensor) -> Tensor | None:
    """Return vectors to begin with; None for a matrix so small that none are followed."""
    if min(A.shape) <= _SMALL:
        return None
    return A.new_empty((_KEPT, min(A.shape))) if A.is_meta else _afresh(A)


def _afresh(A: Tensor) -> Tensor:
    return _orthonormal(gaussian((_KEPT, min(A.shape)), A)).contiguous()


def computed_triplet(A: Tensor) -> Triplet | None:
    """Return the largest triplet of a small matrix; None if that is better left to an SVD."""
    if A.shape[0] < A.shape[1]:
        return _adjoint(computed_triplet(A.mH))
    M = A.mH @ A
    try:
        if len(M) >= _POWERS_FROM:
            Q = _dominant(M)
            Y = A @ Q
            theta, X = torch.linalg.eigh(Y.mH @ Y)
            found, r = _triplet(A, Q @ X[:, -1], Y @ X[:, -1], theta[-2:].tolist())
            if r <= _rounding(A):
                return found
        theta, X = torch.linalg.eigh(M)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    found, r = _triplet(A, X[:, -1], A @ X[:, -1], theta[-2:].tolist())
    return found if r <= _rounding(A) else None


def _dominant(M: Tensor) -> Tensor:
    """Return orthonormal columns, which have the leading eigenvectors of M in their span.

    With 64 or 256 as the power all but rounding is gone of eigenvalues under 3/4 or so of the
    largest.
    """
    for power in (8, 8) if torch.finfo(M.dtype).bits == 32 else (8, 8, 4):  # (none underflows)
        M = torch.linalg.matrix_power(M / torch.linalg.vector_norm(M), power)
    return torch.linalg.qr(M @ _random(len(M), M.dtype, M.device)).Q


@functools.cache
def _random(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return gaussian((n, _DOMINANT), torch.empty((), dtype=dtype, device=device))


def follow(A: Tensor, vectors: Tensor, tol: float | None) -> tuple[Triplet | None, Tensor]:
    """Return the largest triplet, or None if it is not found, and vectors to go on from.

    Parameters
    ----------
    A : (m, n) tensor
    vectors : (k, min(m, n)) tensor
        Of the last time.
    tol : float, optional
        The relative error of s that is allowed; by default 32 eps. With 0, the residual has
        to be at rounding level.
    """
    if A.shape[0] < A.shape[1]:
        triplet, vectors = follow(A.mH, vectors, tol)
        return _adjoint(triplet), vectors
    if A.numel() - int(torch.count_nonzero(A)) >= sum(A.shape) - 2:
        return None, vectors
    by, to, rounding = A.mT, A.conj(), _rounding(A)
    tol = 32 * torch.finfo(A.dtype).eps if tol is None else tol
    V, b = vectors, len(vectors)

    def powers(first: Tensor) -> tuple[Tensor, Tensor]:
        return first, (first[-_SECOND:] @ by) @ to

    Q = _orthonormal(torch.cat((V, *powers((V[-_FIRST:] @ by) @ to))))
    Y = Q @ by
    for _ in range(_PASSES):
        try:
            values, X = torch.linalg.eigh(Y.conj() @ Y.mT)  # ascending, as V is
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            break
        X, theta = X.mT[-b:], values[-b:].tolist()
        V, Y = X @ Q, X @ Y
        triplet, r = _triplet(A, V[-1], Y[-1], theta)
        if triplet is None:
            break
        if r <= rounding or r * r <= 2 * tol * (1 - theta[0] / theta[-1]):
            return triplet, V
        new = torch.cat((*powers(Y[-_FIRST:] @ to), X[-_CONJUGATE:, b:] @ Q[b:]))
        for _ in range(2):
            new = _orthonormal(new - (new @ V.mH) @ V)
        Q, Y = torch.cat((V, new)), torch.cat((Y, new @ by))
    else:
        return None, V
    return None, _afresh(A)


def _triplet(A: Tensor, v: Tensor, y: Tensor, theta: list[float]) -> tuple[Triplet | None, float]:
    """Return the triplet of ``y = A v``, and its residual, relative to s.

    After half a power step: ``z = A^H y`` takes the place of v. None where squares of s and of its
    rounding errors over- or underflow.
    """
    finfo, level = torch.finfo(v.dtype), theta[-1]
    z = A.mH @ y
    rest = torch.sub(z, v, alpha=level)
    norm, size, residual = (torch.linalg.vector_norm(x).item() for x in (y, z, rest))
    if not finfo.tiny / finfo.eps**2 < size < finfo.max * finfo.eps**2:
        return None, math.inf
    tie = 8 * math.sqrt(max(A.shape)) * finfo.eps
    tied = len(theta) > 1 and theta[-2] >= level * (1 - tie) ** 2
    return Triplet(size / norm, y / norm, z / size, tied), residual / size


def _rounding(A: Tensor) -> float:
    """Return the residual that rounding alone may leave."""
    return 8 * math.sqrt(min(A.shape)) * torch.finfo(A.dtype).eps


def _adjoint(triplet: Triplet | None) -> Triplet | None:
    return None if triplet is None else triplet._replace(u=triplet.v, v=triplet.u)


def _orthonormal(rows: Tensor) -> Tensor:
    return torch.linalg.qr(rows.mT).Q.mT
