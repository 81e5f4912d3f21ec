r"""Matrices of low numerical rank by a random sketch of their range.

With a Gaussian matrix Omega of k columns,

    Q R = A Omega  (QR),    B = Q^H A,    B = W S V^H  (thin SVD),    U = Q W,

so that ``A = U S V^H + (I - Q Q^H) A``. The remainder is computed, not estimated: with
``rho = |A - Q B|_F / |A|_F`` at rounding level the triplets are as accurate as those of a
backward stable SVD, and the nuclear norm is off by at most ``sqrt(n) rho |A|_F``. Ten columns
(one, where the user asked for a sketch) must be left over, where the singular values are
rounding errors: only then is the rank certain to have been reached. If k is the size of the
smaller side nothing is left out, whatever the rank.

A rank of r needs ``sum s^4 >= (sum s^2)^2 / r``, and ``sum s^4 = |A^H A|_F^2`` is had from four
random vectors: a flat spectrum is not sketched at all. k doubles from 32 on. What is captured of
``|A|_F^2`` tells early whether that is worth while; where the user asked for a sketch, k doubles
until the test is passed.

References
----------
N. Halko, P. G. Martinsson, J. A. Tropp, Finding structure with randomness, SIAM Review 53
(2011), algorithms 4.1 and 5.1.
"""

from typing import Any, final

from normgrad.arithmetic import (
    Array,
    adjoint,
    divide,
    frobenius,
    gaussian,
    is_traced,
    machine_epsilon,
    namespace,
    number,
    summed_in_blocks,
)
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Image,
    Outcome,
    Spectrum,
    Verdict,
)
from normgrad.factorizations.svd import thin_svd

__all__ = ["RangeFinder"]

_SMALLEST = 400
_FIRST = 32
_SPARE = 10


@final
class RangeFinder(Factorization):
    """All triplets that are not zero, if they are few."""

    name = "randomized"
    batches = False

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        k = min(A.shape[-2:])
        if demand.named:
            return Verdict(True, "it was asked for")
        if k < _SMALLEST:
            return Verdict(False, f"with {k} singular values a dense factorization is as quick")
        if not demand.all_of(A):
            return Verdict(False, "all singular values are not wanted")
        if demand.rank < 16 * machine_epsilon(A):
            return Verdict(False, "the tolerance for zeros is below what a sketch resolves")
        return Verdict(True, "the rank is low")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        k = min(A.shape)
        most = k if demand.named else k // (16 if is_traced(A) else 8)
        columns = most if is_traced(A) else min(_FIRST, most)
        norm = frobenius(A)
        if not demand.named and not is_traced(A):
            count = _participation(A, norm)
            if count > 2 * most:
                return Outcome(None, False, f"about {count:.0f} singular values share the norm")
        while True:
            Q, B = _sketch(A, columns, power_step=demand.named)
            if is_traced(A) or columns == most:
                return _tested(A, Q, B, norm, demand)
            if demand.named:
                outcome = _tested(A, Q, B, norm, demand)
                if outcome.holds:
                    return outcome
            else:
                captured = min(float(divide(frobenius(B), norm, otherwise=1.0)) ** 2, 1.0)
                if 1 - captured < 1e-3:
                    return _tested(A, Q, B, norm, demand)
                if columns > 1.5 * most * captured:
                    share = f"{columns} columns capture {captured:.0%} of the squared norm"
                    return Outcome(None, False, share)
            columns = min(2 * columns, most)


def _participation(A: Array, norm: Array) -> float:
    """Return an estimate of ``(sum s^2)^2 / sum s^4``, at most the rank."""
    W = gaussian((A.shape[1], 4), A)
    Y = A @ (W / frobenius(W)) / norm
    return 1 / (A.shape[1] * float(frobenius(adjoint(Y) @ A) / norm) ** 2)


def _sketch(A: Array, columns: int, *, power_step: bool) -> tuple[Array, Array]:
    """Return Q and B; with a power step the error is about that of the best approximation."""
    qr = namespace(A).linalg.qr
    Q, _ = qr(A @ gaussian((A.shape[1], columns), A))
    if power_step:
        P, _ = qr(adjoint(A) @ Q)
        Q, _ = qr(A @ P)
    return Q, summed_in_blocks(adjoint(Q), A)


def _tested(A: Array, Q: Array, B: Array, norm: Array, demand: Demand) -> Outcome:
    xp, k, columns = namespace(A), min(A.shape), Q.shape[1]
    allowed = demand.rank if demand.named else 16 * machine_epsilon(A)
    rho = divide(frobenius(A - Q @ B), norm)
    W, s, Vh = thin_svd(B)
    rank = xp.sum(xp.astype(s > demand.rank * s[0], xp.int32))
    spare = 0 if columns == k else 1 if demand.named else _SPARE
    holds: Any = (rho <= allowed) & (rank <= columns - spare)
    spectrum = Spectrum(Image(Q, W), s, Columns(adjoint(Vh)), complete=False)
    if is_traced(A):
        return Outcome(spectrum, holds, f"a sketch of {columns} columns leaves nothing")
    error = k**0.5 * number(rho * norm) / max(number(xp.sum(s)), 1e-300)
    reason = (
        f"{columns} columns leave {number(rho):.1e} of the norm, "
        f"the nuclear norm is certain to {error:.1e}"
    )
    return Outcome(spectrum, bool(holds), reason)
