r"""Singular triplets from the eigenvectors of the Gram matrix of the smaller side.

With m >= n (else for the adjoint) and ``A^H A = V diag(lambda) V^H``,

    s = sqrt(lambda),    U = A V diag(1/s).

An eigenvalue of the Gram matrix is off by about ``eps s_1^2``, so s_i by ``eps s_1^2/(2 s_i)``,
and the columns of U are orthogonal to ``eps s_1^2/(s_i s_j)`` only. A singular value
decomposition gives ``eps s_1`` and ``eps``; which of its accuracy is lost decides the use:

leading
    Triplets with ``s_i > s_1/8``, when no others are wanted: nothing is lost.
in double
    Single precision through a Gram matrix in double precision: s is good to ``eps32 s_1``
    down to zero, and U diag(s) V^H to single precision. Exact to the last bits that count.
    On CPUs PyTorch's products of a long matrix may be in single precision, with their sum in
    double, if ``s_n > s_1/8``, which a share of the rows foretells: to U V^H it adds an error of
    ``eps32 s_1^2/s_n^2`` or less, where ``A W`` has as much. To s it adds some 1e-8; ten eps32
    where all entries have one size, so that rounding errors have one sign.
well conditioned
    Double precision with ``s_n > s_1/100``: at most two to three digits more are lost than
    by an SVD, whose gradient of the nuclear norm has an error ``eps s_1/s_n`` itself.
corrected
    Double precision up to condition numbers of about 1e5. The columns ``B = A V`` are
    computed, so that ``s_i = |B_i|`` and ``U = B diag(1/s)`` satisfy ``A = U diag(s) V^H`` to
    working precision, and so is the defect ``E = U^H U - I``, of size ``eps s_1^2/s_n^2``. The
    lift has a term of first order in E (see `normgrad.calculus.lift`); what is left is
    of the order ``|E|^2``. Accepted for ``|E| <= 3e-6``.
preconditioned
    Double precision, long matrices, condition numbers from there to about 5e10. With D the
    values s, but none below ``s_1 sqrt(eps)``, where they are known to about a digit, the columns
    of ``A V`` are rounded by ``eps s_1`` and then divided, in ``B = A V D^-1``: ``B D V^H`` is A
    to working precision. B is well conditioned, unless A has singular values far below that
    floor: with its Gram matrix, ``B = W diag(t) X^H``, and the SVD of ``diag(t) X^H D V^H``,
    k x k, by LAPACK, completes that of A. Accepted for ``t_n > t_1/1000``, where W is
    orthonormal to 1e-10: an SVD has its vectors to ``eps s_1/s_n``, which is more.
"""

from typing import Any, final

import numpy as np

from normgrad.arithmetic import (
    Array,
    add_to_diagonal,
    adjoint,
    divide,
    frobenius,
    gaussian,
    gram,
    gram_in_double,
    has_double,
    is_single,
    is_torch,
    is_traced,
    like,
    machine_epsilon,
    namespace,
    when,
)
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Image,
    Outcome,
    Spectrum,
    Verdict,
    far_from_square,
)
from normgrad.factorizations.svd import thin_svd

__all__ = ["Gram"]

_LEADING = 1 / 8
_WELL_CONDITIONED = 1e-2
_DEFECT = 3e-6
_CONDITION = 1e5
_LONG, _LARGE = 16, 2**20
_ROUNDED, _NEARLY_ORTHONORMAL = 1 / 8, 1e-3
_SMALLEST, _FEW_ALONE, _ALL_ALONE = 16, 64, 96
"""Sizes from which it is quicker: in a stack or far from square; alone, for a few triplets, all."""
_PROBED = 256


@final
class Gram(Factorization):
    """Hermitian eigenvalue problems of the smaller size: one, or for long matrices two."""

    name = "gram"

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        m, n = A.shape[-2:]
        k = min(m, n)
        smallest = _SMALLEST
        if A.ndim == 2 and max(m, n) < 2 * k:
            smallest = _ALL_ALONE if demand.all_of(A) else _FEW_ALONE
        if k < smallest and not demand.named:
            return Verdict(False, f"for {m} x {n} an SVD is as quick")
        if demand.rank < 1e-6 and is_single(A) and demand.all_of(A):
            return Verdict(False, "the tolerance for zeros is below what a Gram matrix resolves")
        if _leading(demand, k):
            return Verdict(True, "only leading singular values are wanted")
        if is_single(A):
            if has_double(A):
                return Verdict(True, "single precision, by way of a Gram matrix in double")
            return Verdict(False, "there is no double precision, in which to form a Gram matrix")
        if not demand.vectors and not demand.named:
            return Verdict(False, "small singular values need the SVD")
        if A.ndim == 2 and k < _PROBED and max(m, n) < 2 * k and not demand.named:
            return Verdict(False, f"for one matrix of {m} x {n} an SVD is as quick")
        if m == n >= _PROBED and A.ndim == 2 and not demand.named:
            condition = _condition(A)
            ok = condition < _CONDITION
            if is_traced(condition):
                return Verdict(ok, f"the condition number is below {_CONDITION:g}")
            size = f"the condition number is about {float(condition):.0e}"
            return Verdict(bool(ok), size)
        return Verdict(
            True, "an eigenvalue problem is cheaper, if the condition number is moderate"
        )

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        if A.shape[-2] < A.shape[-1]:
            return self.factorize(adjoint(A), demand).adjoint()
        k = A.shape[-1]
        if _leading(demand, k):
            return _leading_triplets(A, demand)
        if is_single(A):
            return _in_double(A, demand)
        return _corrected(A)


def _leading(demand: Demand, k: int) -> bool:
    return not demand.complete and 4 * demand.triplets <= k


def _from_gram(S: Array, *, vectors: bool) -> tuple[Array, Any]:
    xp = namespace(S)
    # (of -S the eigenvalues ascend as the singular values descend)
    negated, V = xp.linalg.eigh(-S) if vectors else (xp.linalg.eigvalsh(-S), None)
    return xp.sqrt(xp.where(negated < 0, -negated, 0.0)), V


def _leading_triplets(A: Array, demand: Demand) -> Outcome:
    """Return the triplets that are not small."""
    xp = namespace(A)
    s, V = _from_gram(gram(A), vectors=demand.vectors)
    holds = s[..., demand.triplets - 1] >= (_LEADING + demand.tie) * s[..., 0]
    reason = f"singular value {demand.triplets} is more than {_LEADING:g} of the largest"
    if not demand.vectors:
        return Outcome(Spectrum(None, s, None, complete=False), holds, reason)
    large = s > _LEADING / 2 * s[..., :1]  # the last one wanted, and all that are tied with it
    W = V * divide(xp.astype(large, s.dtype), s)[..., None, :]
    spectrum = Spectrum(Image(A, W), s, Columns(V), complete=False)
    return Outcome(spectrum, holds, reason)


def _in_double(A: Array, demand: Demand) -> Outcome:
    """Return all triplets of a matrix of single precision."""
    xp = namespace(A)
    found = _rounded(A, demand)
    s, V = found or _from_gram(gram_in_double(A), vectors=demand.vectors)
    reason = "single precision, by way of a Gram matrix in double"
    if not demand.vectors:
        return Outcome(Spectrum(None, like(s, A), None), True, reason)
    counts = xp.astype(s > demand.rank / 2 * s[..., :1], s.dtype)
    W = V * divide(counts, s)[..., None, :]
    if not is_traced(s) and xp.min(s[..., -1] / s[..., 0]) > _WELL_CONDITIONED**0.5:
        W, V = like(W, A), like(V, A)  # little is lost by products in single precision
    return Outcome(Spectrum(Image(A, W), like(s, A), Columns(V), complete=False), True, reason)


def _rounded(A: Array, demand: Demand) -> tuple[Array, Any] | None:
    """Return s and V by products in single precision, summed in double, if that is accurate."""
    xp, (m, n) = namespace(A), A.shape[-2:]
    if not is_torch(A) or not A.is_cpu or m < _LONG * n or m * n < _LARGE:
        return None

    def well(s: Array, limit: float) -> bool:
        return bool(xp.min(s[..., -1] / s[..., 0]) > limit)

    if not well(_from_gram(gram_in_double(_some_rows(A)), vectors=False)[0], _ROUNDED / 2):
        return None
    s, V = _from_gram(gram_in_double(A, rounded=True), vectors=demand.vectors)
    return (s, V) if well(s, _ROUNDED) else None


def _some_rows(A: Array) -> Array:
    """Return some 8 n of the rows of a long A, which tell what is unlikely to succeed."""
    m, n = A.shape[-2:]
    return A[..., :: m // (8 * n), :]


def _corrected(A: Array) -> Outcome:
    """Return all triplets of a matrix of double precision, with the defect of U."""
    xp = namespace(A)
    s, V = _from_gram(gram(A), vectors=True)
    ratio = divide(s[..., -1], s[..., 0], otherwise=1.0)  # (of a zero matrix all are equal)
    well = ratio > _WELL_CONDITIONED
    # (compiled code has either this or the correction; far from square a QR decomposition is next)
    only_well = far_from_square(*A.shape[-2:]) if is_traced(A) else bool(xp.all(well))
    if only_well:
        W = V * divide(xp.ones_like(s), s)[..., None, :]
        reason = f"the smallest singular value is more than {_WELL_CONDITIONED:g} of the largest"
        return Outcome(Spectrum(Image(A, W), s, Columns(V), complete=False), well, reason)
    holds = ratio > 1 / _CONDITION
    if not is_traced(A) and not bool(xp.any(holds)):
        return _preconditioned(A, s, V)
    U = A @ V
    s = xp.linalg.vector_norm(U, axis=-2)
    U /= xp.where(s > 0, s, 1.0)[..., None, :]  # in its own memory, where the library has such

    def defect(U: Array) -> Array:
        return add_to_diagonal(gram(U), -xp.astype(s > 0, s.dtype))

    # (where it is traced, that the condition is moderate has not been used yet)
    E = when(xp.all(well), lambda U: xp.zeros_like(V), defect, U)
    holds = holds & (frobenius(E) <= _DEFECT)
    reason = f"U is orthonormal to {_DEFECT:g}"
    return Outcome(Spectrum(Columns(U), s, Columns(V), complete=False, defect=E), holds, reason)


def _preconditioned(A: Array, s: Array, V: Array) -> Outcome:
    """Return all triplets of a long A from its s and V, which are right to ``sqrt(eps)`` only."""
    xp, (m, n) = namespace(A), A.shape[-2:]
    failure = Outcome(None, False, "the condition number is too large")
    if m < _LONG * n:
        return failure
    floor = machine_epsilon(A) ** 0.5 * s[..., :1]
    d = xp.maximum(s, floor)
    to_B = V * divide(xp.ones_like(d), d)[..., None, :]
    # t_n is at most the least value of the columns that are lost in rounding; some rows tell
    lost = xp.astype(s <= 4 * floor, xp.int32)
    below = max(int(xp.max(xp.sum(lost, axis=-1))), 1)
    some = _some_rows(A)
    t, _ = _from_gram(gram(some @ to_B[..., n - below :]), vectors=False)
    least = t[..., -1] * (m / some.shape[-2]) ** 0.5
    if not bool(xp.any(least > _NEARLY_ORTHONORMAL / 2)):
        return failure
    B = A @ to_B
    t, X = _from_gram(gram(B), vectors=True)
    holds = t[..., -1] > _NEARLY_ORTHONORMAL * t[..., 0]
    W, s, Yh = thin_svd((t[..., :, None] * adjoint(X) * d[..., None, :]) @ adjoint(V))
    U = Image(B, (X * divide(xp.ones_like(t), t)[..., None, :]) @ W)
    reason = "A V diag(1/s) is well conditioned"
    return Outcome(Spectrum(U, s, Columns(adjoint(Yh)), complete=False), holds, reason)


def _condition(A: Array) -> Array:
    """Return an estimate of ``||A|| ||A^-1||``, from above if it errs, for a nearly square A.

    The norm by three steps of the power method; that of the inverse by its Frobenius norm,
    which ``|A^-1 z|^2`` has as its mean for standard normal z (Hutchinson 1990).
    """
    xp = namespace(A)
    Z = gaussian((A.shape[-1], 4), A)
    W = Z
    for _ in range(3):
        W = adjoint(A) @ (A @ W)
        W = W / xp.max(xp.abs(W))
    norm = frobenius(A @ W) / frobenius(W)
    try:
        X = xp.linalg.solve(A, Z)
    except (np.linalg.LinAlgError, RuntimeError):  # singular, or not square
        return norm * float("inf")
    inverse = frobenius(X) / 2
    return norm * xp.where(xp.isfinite(inverse), inverse, float("inf"))
