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

Where A can fall apart, V may be orthogonal to what overtakes it, and r would not show it: blocks
without rows or columns in common, waves of other frequencies. There a random vector x, less its
part in V, tells: with the Chebyshev polynomial that is at most 1 on ``[0, theta_b]``,

    y = T_k(2 M / theta_b - 1) x,    T_k(2 theta_1 / theta_b - 1) > 1.65 sqrt(n) / miss,

is next to an eigenvector if any outside of V has an eigenvalue over theta_1, unless x has
less than the share `miss` of what is usual of it. Less what V has of it, y is one more row of K if
``|A y|^2 / |y|^2`` is not far below theta_1, or if that row makes theta_1 larger: where V has most
of the eigenvector, mixed with small ones, both parts of it have small quotients. An array, (m, n),
can fall apart only if it has ``m + n - 2`` zeros.

All vectors are rows, for which products with a contiguous matrix are fast.

References
----------
C. Musco, C. Musco, Randomized block Krylov methods for stronger and faster approximate singular
value decomposition, NeurIPS 2015. B. N. Parlett, The symmetric eigenvalue problem, SIAM 1998,
theorem 11.7.1 (the error of a Ritz value by its residual and a gap). J. Kuczynski, H. Wozniakowski,
Estimating the largest eigenvalue by the power and Lanczos algorithms with a random start, SIAM
J. Matrix Anal. Appl. 13 (1992) (what a random vector has of another one).
"""

import functools
import math
import sys
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from normgrad.arithmetic import gaussian
from normgrad.matrices import Matrix

__all__ = ["Products", "Triplet", "computed_triplet", "follow", "start"]

_SMALL = 128
"""Up to so many columns nothing is followed."""
_POWERS_FROM = 40
_DOMINANT = 12
_KEPT = 22
_FIRST, _SECOND = 6, 4
"""So many vectors are multiplied by M, and by M^2."""
_CONJUGATE = 4
_PASSES, _PATIENCE = 25, 8
"""With more passes a factorization afresh costs less; so many times more, of the degrees below
also, where that takes products, too."""
_FORMED = 2**25
"""Up to so many entries a structured matrix is formed where products fail."""
_MISS, _LONGEST = 1e-3, 64
"""The chance that a random vector shows nothing of what overtakes; the largest degree for it."""
_ROOM = 2**24
"""So many numbers may be kept."""


class Triplet(NamedTuple):
    """``A v = s u``: s is a number, u (t, m) and v (t, n) are rows, more than one if s is tied.

    It is not certain where more may be tied, or something larger may be left that is close.
    """

    s: float
    u: Tensor
    v: Tensor
    certain: bool = True


class Products(NamedTuple):
    """A matrix A by what it does to rows: ``x -> A x``, and ``y -> A^H y``.

    `model` is a tensor like its entries.
    """

    forth: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    shape: tuple[int, int]
    model: Tensor
    splits: Callable[[], bool]
    """Whether it can fall apart."""

    @classmethod
    def of(cls, A: Tensor | Matrix) -> Self:
        m, n = A.shape
        if isinstance(A, Tensor):
            array, transposed, conjugate = A, A.mT, A.conj()

            def splits() -> bool:
                return array.numel() - int(torch.count_nonzero(array)) >= m + n - 2

            return cls(lambda X: X @ transposed, lambda Y: Y @ conjugate, (m, n), A, splits)

        def by_rows(product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda X: product(X.mT).mT

        return cls(by_rows(A.matmat), by_rows(A.rmatmat), (m, n), A.model, lambda: True)

    @property
    def adjoint(self) -> Self:
        return self._replace(forth=self.back, back=self.forth, shape=self.shape[::-1])


def start(A: Products) -> Tensor | None:
    """Return vectors to begin with; None for a matrix of which none are followed."""
    n = min(A.shape)
    if n <= _SMALL or _KEPT * n > _ROOM:
        return None
    return A.model.new_empty((_KEPT, n)) if A.model.is_meta else _afresh(A)


def _afresh(A: Products) -> Tensor:
    return _orthonormal(gaussian((_KEPT, min(A.shape)), A.model)).contiguous()


def computed_triplet(A: Tensor) -> Triplet | None:
    """Return the largest triplet of a small matrix; None if that is better left to an SVD."""
    if A.shape[0] < A.shape[1]:
        return _adjoint(computed_triplet(A.mH))
    M, products = A.mH @ A, Products.of(A)
    try:
        if len(M) >= _POWERS_FROM:
            Q = _dominant(M)
            Y = products.forth(Q)
            theta, X = _ritz(Y, _DOMINANT)
            triplet, r = _leading(products, theta, X @ Q, X @ Y)
            if r <= _rounding(products) and len(triplet.v) < _DOMINANT:
                return triplet
        theta, X = torch.linalg.eigh(M)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    V = X.mT
    triplet, r = _leading(products, theta, V, products.forth(V))
    return triplet if r <= _rounding(products) else None


def _dominant(M: Tensor) -> Tensor:
    """Return orthonormal rows, which have the leading eigenvectors of M in their span.

    With 64 or 256 as the power all but rounding is gone of eigenvalues under 3/4 or so of the
    largest.
    """
    for power in (8, 8) if torch.finfo(M.dtype).bits == 32 else (8, 8, 4):  # (none underflows)
        M = torch.linalg.matrix_power(M / torch.linalg.vector_norm(M), power)
    return torch.linalg.qr(M @ _random(len(M), M.dtype, M.device)).Q.mT


@functools.cache
def _random(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return gaussian((n, _DOMINANT), torch.empty((), dtype=dtype, device=device))


def follow(A: Products, vectors: Tensor, tol: float | None) -> tuple[Triplet | None, Tensor]:
    """Return the largest triplet, or None if it is not found, and vectors to go on from.

    Parameters
    ----------
    A : Products
        Of an (m, n) matrix.
    vectors : (k, min(m, n)) tensor
        Of the last time.
    tol : float, optional
        The relative error of s that is allowed; by default 32 eps. With 0, the residual has
        to be at rounding level.
    """
    if A.shape[0] < A.shape[1]:
        triplet, vectors = follow(A.adjoint, vectors, tol)
        return _adjoint(triplet), vectors
    by, to, rounding = A.forth, A.back, _rounding(A)
    tol = 32 * torch.finfo(vectors.dtype).eps if tol is None else tol
    V, (b, n) = vectors, vectors.shape

    def powers(first: Tensor) -> tuple[Tensor, Tensor]:
        return first, to(by(first[-_SECOND:]))

    Q = _orthonormal(torch.cat((V, *powers(to(by(V[-_FIRST:]))))))
    Y = by(Q)
    patience = _PATIENCE if math.prod(A.shape) > _FORMED else 1
    longest = _LONGEST * patience
    for _ in range(_PASSES * patience):
        try:
            theta, X = _ritz(Y, b)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            break
        V, Y = X @ Q, X @ Y
        triplet, r = _leading(A, theta, V, Y)
        if r == math.inf:
            break
        low, high = theta[0].item(), theta[-1].item()
        if r <= rounding or r * r <= 2 * tol * (1 - low / high):
            if len(triplet.v) == b:
                return triplet._replace(certain=False), V
            if not A.splits():
                return triplet, V
            low = max(low, high / 4)
            degree = _degree(n, low, high)
            new = _overlooked(A, V, Y, (low, high), min(degree, longest), tol)
            if new is None:
                return triplet._replace(certain=degree <= longest), V
        else:
            new = torch.cat((*powers(to(Y[-_FIRST:])), X[-_CONJUGATE:, b:] @ Q[b:]))
        new = _outside(new, V)
        Q, Y = torch.cat((V, new)), torch.cat((Y, by(new)))
    else:
        return None, V
    return None, _afresh(A)


def _ritz(Y: Tensor, b: int) -> tuple[Tensor, Tensor]:
    """Return the b largest Ritz values, ascending, and X, whose rows make of Q their vectors.

    Of ``A^H A``, from ``Y = A Q``; for any Y, the eigenvalues of its Gram matrix.
    """
    theta, X = torch.linalg.eigh(Y.conj() @ Y.mT)
    return theta[-b:], X.mT[-b:]


def _degree(n: int, low: float, high: float) -> int:
    """Return the k with ``T_k(2 high / low - 1) = 1.65 sqrt(n) / miss sqrt(2 / (1 - low / high))``.

    The last factor is what it takes for y to be next to the eigenvector.
    """
    growth, gap = math.acosh(2 * high / low - 1), 1 - low / high
    if not growth or not gap:
        return sys.maxsize
    return math.ceil(math.acosh(1.65 * math.sqrt(2 * n / gap) / _MISS) / growth)


def _overlooked(
    A: Products, V: Tensor, Y: Tensor, ends: tuple[float, float], degree: int, tol: float
) -> Tensor | None:
    """Return the row y if it has much of the largest eigenvalues, or what V lacks of one.

    The `ends` are the least and the largest theta. What s may lack, ``2 tol`` of theta, is none.
    """
    low, high = ends
    # T_0 = 1, T_1(z) = z, T_(k+1)(z) = 2 z T_k(z) - T_(k-1)(z), for z = 2 M / low - 1
    seed = hash(high) % 2**32  # so that it is another vector for another weight
    x = _rest(gaussian((1, V.shape[1]), V, seed), V)
    y = torch.sub(A.back(A.forth(x)), x, alpha=low / 2) * (2 / low)
    for _ in range(degree - 1):
        last = y
        y = torch.sub(A.back(A.forth(y)), y, alpha=low / 2).mul_(4 / low).sub_(x)
        x = last
    y = _rest(y, V)
    y = y / y.abs().amax()  # which may be too large for a square
    y = y / torch.linalg.vector_norm(y)
    z = A.forth(y)
    if torch.linalg.vector_norm(z).item() ** 2 < (low + high) / 2:
        with_it = _ritz(torch.cat((Y, z)), 1)[0].item()
        return None if with_it <= high * (1 + 2 * tol + _rounding(A)) else y
    return y


def _leading(A: Products, theta: Tensor, V: Tensor, Y: Tensor) -> tuple[Triplet, float]:
    """Return the leading triplets of ``Y = A V``, and their residual, relative to s.

    After half a power step: ``z = A^H y`` takes the place of v. The residual is infinite where
    squares of s and of its rounding errors over- or underflow.
    """
    values, finfo = theta.tolist(), torch.finfo(V.dtype)
    tie = 8 * math.sqrt(max(A.shape)) * finfo.eps
    t = sum(value >= values[-1] * (1 - tie) ** 2 for value in values) or 1
    v, y = V[-t:], Y[-t:]
    z = A.back(y)
    rest = torch.linalg.vector_norm(torch.addcmul(z, v, theta[-t:, None], value=-1)).item()
    norms, sizes = (torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (y, z))
    norm, size = norms[-1].item(), sizes[-1].item()
    small = not finfo.tiny / finfo.eps**2 < size < finfo.max * finfo.eps**2
    triplet = Triplet(size / norm if norm else 0.0, y / norms, z / sizes)
    return triplet, math.inf if small else rest / size


def _rounding(A: Products) -> float:
    """Return the residual that rounding alone may leave."""
    return 8 * math.sqrt(min(A.shape)) * torch.finfo(A.model.dtype).eps


def _adjoint(triplet: Triplet | None) -> Triplet | None:
    return None if triplet is None else triplet._replace(u=triplet.v, v=triplet.u)


def _outside(rows: Tensor, V: Tensor) -> Tensor:
    """Return rows orthonormal to V and to each other, some zero if not so many are left."""
    rows = _rest(_orthonormal(_rest(rows, V)), V)
    size, X = _ritz(rows, len(rows))  # what went by more than half was rounding alone
    return (X * torch.where(size > 0.25, size.rsqrt(), 0.0)[:, None]) @ rows


def _rest(rows: Tensor, V: Tensor) -> Tensor:
    """Return rows less their parts in V."""
    return rows - (rows @ V.mH) @ V


def _orthonormal(rows: Tensor) -> Tensor:
    return torch.linalg.qr(rows.mT).Q.mT
