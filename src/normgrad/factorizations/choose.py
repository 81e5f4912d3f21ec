"""Which factorization is used, and why."""

from dataclasses import dataclass

from normgrad.arithmetic import Array
from normgrad.factorizations.base import Factorization, Verdict
from normgrad.factorizations.diagonal import DiagonalScan
from normgrad.factorizations.svd import DenseSVD

__all__ = ["TABLE", "Choice", "check_method", "choose", "methods"]

TABLE: tuple[Factorization, ...] = (DiagonalScan(), DenseSVD())
"""In the order in which ``method="auto"`` considers them; the last takes every matrix."""


@dataclass(frozen=True)
class Choice:
    """The factorization to use, and what was said of each that was considered."""

    factorization: Factorization
    considered: tuple[tuple[str, Verdict], ...]

    @property
    def reason(self) -> str:
        """Return why the factorization was chosen."""
        return self.considered[-1][1].reason


def methods() -> tuple[str, ...]:
    """Return the valid values of ``method``."""
    return ("auto", *(factorization.name for factorization in TABLE))


def check_method(method: object) -> None:
    """Raise ValueError if there is no such method."""
    if method not in methods():
        raise ValueError(
            f"method={method!r} is not known; valid: {', '.join(map(repr, methods()))}"
        )


def choose(A: Array, triplets: int, method: str = "auto", *, verified: bool = False) -> Choice:
    """Return the first factorization that accepts A, or the one named.

    With `verified`, the one named has accepted A before, and is not asked again.

    Raises
    ------
    ValueError
        If the one named declines; the message says why.
    """
    considered = []
    for factorization in TABLE:
        if method not in ("auto", factorization.name):
            continue
        verdict = (
            Verdict(True, "it accepted the matrix before the function was traced")
            if verified
            else factorization.verdict(A, triplets)
        )
        considered.append((factorization.name, verdict))
        if verdict.accepted:
            return Choice(factorization, tuple(considered))
    raise ValueError(
        f"method={method!r} can not be used for this matrix of shape {tuple(A.shape)}: "
        f"{considered[-1][1].reason}; method='auto' chooses one that can"
    )
