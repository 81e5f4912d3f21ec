r"""The largest singular triplet of a weight that a step of training has moved, in few calls.

Training moves small matrices far, by more than one step of an iteration makes up for, and there
each call of PyTorch counts more than its arithmetic. From the columns V of the last time a block
Krylov space is built and its triplets are taken (Rayleigh-Ritz),

    K = [V, M V, .., M^q V],  M = A^H A,    K = Q R,    Q^H M Q = W diag(theta) W^H,    v = Q w_1,

again from the three leading vectors if ``|A^H u - s v| > tol s`` for ``u = A v / |A v|``. What that
does not come to an end with is left to `normgrad.track`.

References
----------
C. Musco, C. Musco, Randomized block Krylov methods for stronger and faster approximate singular
value decomposition, NeurIPS 2015.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

import normgrad

__all__ = ["Followed", "follow"]

_STEPS = (4, 6, 6, 6, 6, 6)
_SMALL = 160
"""Up to so many columns the last space is the entire one: where singular values crowd, an
eigenvalue problem is sooner solved than a run of many steps."""
_LARGE = 2**16
"""From so many entries on, products cost more than calls: it is tried with the columns alone."""


class Followed(NamedTuple):
    """The norm, one of its subgradients, columns to go on from, whether the norm is multiple."""

    norm: Tensor
    gradient: Tensor
    columns: Tensor
    tied: bool


def follow(A: Tensor, columns: Tensor, tol: float | None) -> Followed:
    """Return the norm of a matrix, from the columns of the last time; nothing is differentiated."""
    wide = A.shape[0] < A.shape[1]
    found = _from_krylov(A.mH if wide else A, columns.to(A.dtype), tol)
    if found is None:
        value, G, columns = normgrad.track(A, columns, tol=tol)
        return Followed(value, G, columns, _is_tied(A.mH if wide else A, value, columns))
    return found._replace(gradient=found.gradient.mH) if wide else found


def _from_krylov(A: Tensor, V: Tensor, tol: float | None) -> Followed | None:
    """Return the triplet for A with at least as many rows as columns, if it is found."""
    finfo, b = torch.finfo(A.dtype), V.shape[1]
    accuracy = max(tol or 0.0, 16 * finfo.eps)
    # where squares of s and of its rounding errors neither over- nor underflow
    least, most = math.sqrt(finfo.tiny) / finfo.eps, math.sqrt(finfo.max) * finfo.eps
    adjoint, n = A.mH, A.shape[1]
    steps: tuple[int, ...] = (0, *_STEPS) if A.numel() >= _LARGE else _STEPS
    if n <= _SMALL:
        steps = (*steps[:4], n)
    for q in steps:
        if n <= b * (q + 1):  # the space is the entire one
            Q = torch.eye(n, dtype=A.dtype, device=A.device)
        else:
            Q = _krylov(A, adjoint, V, q)
        Y = A @ Q
        try:
            theta, W = torch.linalg.eigh(Y.mH @ Y)  # ascending
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return None
        V = Q @ W[:, -b:].flip(1)
        y = A @ V[:, 0]
        u = y / torch.linalg.vector_norm(y)
        z = adjoint @ u
        s = torch.linalg.vector_norm(z)
        residual = torch.linalg.vector_norm(z - s * V[:, 0])
        size, left, *leading = torch.stack([s, residual, *theta[-2:]]).tolist()
        if not least < size < most:
            return None
        if left <= accuracy * size:
            tied = len(leading) == 2 and leading[0] >= leading[1] * (1 - _tie(A)) ** 2
            return Followed(s, torch.outer(u, (z / s).conj()), V, tied)
    return None


def _krylov(A: Tensor, adjoint: Tensor, V: Tensor, q: int) -> Tensor:
    """Return an orthonormal basis of the columns of ``V, M V, .., M^q V``."""
    K = [V]
    if q:
        Y = A @ V
        # (a scale by which the powers neither grow nor fall)
        scaled = adjoint / torch.linalg.vector_norm(Y[:, 0]) ** 2
        K.append(scaled @ Y)
        for _ in range(q - 1):
            K.append(scaled @ (A @ K[-1]))
    return torch.linalg.qr(torch.cat(K, 1)).Q


def _tie(A: Tensor) -> float:
    """Return the gap at which singular values count as tied, as `normgrad.Spectral` has it."""
    return 8 * math.sqrt(A.shape[0]) * torch.finfo(A.dtype).eps


def _is_tied(A: Tensor, norm: Tensor, columns: Tensor) -> bool:
    """Whether the second singular value on the span of the columns counts as the first."""
    if columns.shape[1] < 2 or not norm.isfinite():
        return False
    unit = norm.clamp(min=torch.finfo(A.dtype).tiny)
    first, second, *_ = torch.linalg.svdvals(A @ (columns / unit))
    return bool(second >= first * (1 - _tie(A)))
