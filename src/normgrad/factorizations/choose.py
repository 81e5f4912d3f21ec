"""Which factorization is used, and why: the first that accepts the matrix and passes its test."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from normgrad.arithmetic import (
    Array,
    branch,
    dtype_name,
    each_matrix,
    is_jax,
    is_readable,
    is_recorded,
    is_traced,
    namespace,
)
from normgrad.factorizations.base import Demand, Factorization, Outcome, Verdict
from normgrad.factorizations.diagonal import DiagonalScan
from normgrad.factorizations.gram import Gram
from normgrad.factorizations.hermitian import HermitianEigen
from normgrad.factorizations.jacobi import BatchedJacobi
from normgrad.factorizations.lanczos import Lanczos
from normgrad.factorizations.planar import RotationAndReflection
from normgrad.factorizations.qr import TriangularSVD
from normgrad.factorizations.randomized import RangeFinder
from normgrad.factorizations.svd import DenseSVD

__all__ = ["TABLE", "Account", "check_method", "decompose", "methods", "settle", "usual"]

TABLE: tuple[Factorization, ...] = (
    DiagonalScan(),
    RotationAndReflection(),
    BatchedJacobi(),
    Lanczos(),
    RangeFinder(),
    HermitianEigen(),
    Gram(),
    TriangularSVD(),
    DenseSVD(),
)
"""In the order in which ``method="auto"`` considers them; the last takes every matrix."""

_MODERATE = 2**16
"""Entries up to which a factorization costs as much as deciding which one is the best."""
_SMALL = 100
"""Entries up to which NumPy needs no longer for an SVD than for what is quicker for some."""

Account = list[tuple[str, Verdict]]
"""What was said of each factorization that was considered, in order."""


def methods() -> tuple[str, ...]:
    """Return the valid values of ``method``."""
    return ("auto", *(factorization.name for factorization in TABLE))


def check_method(method: object, *also: str) -> None:
    """Raise ValueError if there is no such method."""
    valid = (*also, *methods())
    if method not in valid:
        raise ValueError(f"method={method!r} is not known; valid: {', '.join(map(repr, valid))}")


def settle(A: Array, demand: Demand, method: str) -> tuple[str, bool]:
    """Return `method`, or the one it comes to where that is certain from the entries of A.

    The second result says that this one is certain, and need not be asked again.
    """
    for factorization in _asked(method, demand):
        if factorization.verdict(A, demand).accepted:
            complete = demand._replace(complete=True)
            certain = factorization.certain and factorization.verdict(A, complete).accepted
            return (factorization.name, True) if certain else (method, False)
    return method, False


def usual(A: Array, demand: Demand) -> Factorization | None:
    """Return the factorization of matrices with nothing special about them, if A seems to be one.

    None where A is large, and what is special is worth to be looked for, and where a factorization
    is quicker for A, as it may be diagonal or Hermitian. Two entries of the first matrix tell;
    where they do not, it may be neither all the same.
    """
    if is_jax(A) or not 1 < math.prod(A.shape) <= _MODERATE:
        return None
    if isinstance(A, np.ndarray) and A.size <= _SMALL:
        return _usual(A.shape, dtype_name(A.dtype), demand) if A.item(1) != 0 else None
    if min(A.shape[-2:]) == 1 or not is_readable(A):
        return None
    first = A if A.ndim == 2 else A[(0,) * (A.ndim - 2)]
    try:
        above, below = first[0, 1].item(), first[1, 0].item()
    except RuntimeError:  # (under the vmap that PyTorch uses for is_grads_batched)
        return None
    if above == 0 or (A.shape[-2] == A.shape[-1] and above == below.conjugate()):
        return None
    return _usual(A.shape, dtype_name(A.dtype), demand)


@functools.lru_cache(maxsize=1024)
def _usual(shape: tuple[int, ...], dtype: str, demand: Demand) -> Factorization:
    sample = np.random.default_rng(0).standard_normal((2, *shape))
    A = (sample[0] + 1j * sample[1] if "complex" in dtype else sample[0]).astype(dtype)
    account: Account = []
    decompose(A, demand, lambda spectrum: spectrum.s[..., 0], account=account)
    name, _ = account[-1]
    return next(f for f in TABLE if f.name == name)


def decompose(
    A: Array,
    demand: Demand,
    use: Callable[..., Any],
    method: str = "auto",
    *,
    beside: tuple[Array, ...] = (),
    verified: bool = False,
    account: Account | None = None,
) -> Any:
    """Return ``use(spectrum, *beside)`` for each matrix of A, by the first that will do.

    A factorization may decline at once, by its verdict, or after its work, by its own test;
    then the next one is asked. In a batch only the matrices that failed go on to it.

    Parameters
    ----------
    A : (..., m, n) array
    demand : Demand
    use : callable
        Returns an array, or a tuple of arrays, with the leading axes of A. It may be called for
        parts of A one after the other.
    method : str
        "auto" or the name of the only factorization to ask.
    beside : tuple of arrays
        With the leading axes of A; `use` gets what belongs to its part of A.
    verified : bool
        Whether the one named has accepted A before, and is not asked again.
    account : list, optional
        What each factorization said is appended.

    Raises
    ------
    ValueError
        If the one named declines; the message says why. Where the entries are traced, the
        results are NaN for a matrix that fails its test.
    """
    chain = _Chain(demand, use, method, [] if account is None else account)
    usually = usual(A, demand) if method == "auto" and account is None else None
    if usually is not None:
        asked = [usually] if usually.certain else [usually, TABLE[-1]]
        return chain.run(A, *beside, asked=asked, verified=True)
    return chain.run(A, *beside, asked=_asked(method, demand), verified=verified)


def _asked(method: str, demand: Demand) -> list[Factorization]:
    """Return the one that was named, or all; where it can not give every triplet, all that can."""
    named = [f for f in TABLE if method in ("auto", f.name)]
    if demand.complete and not any(f.certain for f in named):
        return [f for f in TABLE if f.certain]
    return named


class _Chain:
    """The factorizations one after the other, with what is the same for all."""

    def __init__(
        self, demand: Demand, use: Callable[..., Any], method: str, account: Account
    ) -> None:
        self.demand, self.use, self.method, self.account = demand, use, method, account

    def run(
        self, A: Array, *beside: Array, asked: Sequence[Factorization], verified: bool = False
    ) -> Any:
        for i, factorization in enumerate(asked):
            if not verified:
                verdict = self._verdict(factorization, A)
                if is_traced(verdict.accepted):
                    self.account.append((factorization.name, Verdict(True, f"if {verdict.reason}")))
                    return branch(
                        namespace(A).all(verdict.accepted),
                        lambda A, i=i: self.run(A, *beside, asked=asked[i:], verified=True),
                        lambda A, i=i: self.run(A, *beside, asked=asked[i + 1 :]),
                        A,
                    )
                if not verdict.accepted:
                    self.account.append((factorization.name, verdict))
                    continue
            if A.ndim > 2 and not factorization.batches:
                # from here on one at a time: each may take another road
                rest = asked[i:]
                run = functools.partial(self.run, asked=rest, verified=verified)
                return each_matrix(run, A, *beside)
            outcome = factorization.factorize(A, self.demand)
            if factorization.certain:
                reason = outcome.reason if verified else verdict.reason
                self.account.append((factorization.name, Verdict(True, reason)))
                return self.use(outcome.spectrum, *beside)
            return self._tested(factorization.name, outcome, asked[i + 1 :], A, *beside)
        _, verdict = self.account[-1]
        raise ValueError(
            f"method={self.method!r} can not be used for this matrix of shape "
            f"{tuple(A.shape)}: {verdict.reason}; method='auto' chooses one that can"
        )

    def _verdict(self, factorization: Factorization, A: Array) -> Verdict:
        if self.demand.complete and not factorization.certain:
            return Verdict(False, "a second derivative or a proximal map needs every triplet")
        if is_recorded(A) and not factorization.certain:
            return Verdict(False, "what is recorded has to be right for other matrices too")
        return factorization.verdict(A, self.demand)

    def _tested(
        self, name: str, outcome: Outcome, rest: Sequence[Factorization], A: Array, *beside: Array
    ) -> Any:
        """Return the results from the matrices that passed, and from `rest` those that did not."""
        holds, spectrum = outcome.holds, outcome.spectrum
        xp = namespace(A)
        if is_traced(holds):
            self.account.append((name, Verdict(True, f"if {outcome.reason}, seen when it runs")))
            return branch(
                xp.all(holds),
                lambda A: self.use(spectrum, *beside),
                lambda A: (
                    self.run(A, *beside, asked=rest) if rest else _nan(self.use(spectrum, *beside))
                ),
                A,
            )
        passed = holds if isinstance(holds, bool) else bool(xp.all(holds))
        self.account.append((name, Verdict(passed, outcome.reason)))
        if passed:
            return self.use(spectrum, *beside)
        if spectrum is None or A.ndim == 2 or not bool(xp.any(holds)):
            return self.run(A, *beside, asked=rest)
        again = self.run(*(x[~holds] for x in (A, *beside)), asked=rest)
        return _replace(self.use(spectrum, *beside), ~holds, again)


def _nan(result: Any) -> Any:
    """Return results of the same shape that say that there is none."""
    if isinstance(result, tuple):
        return tuple(map(_nan, result))
    return namespace(result).full_like(result, float("nan"))


def _replace(result: Any, where: Array, part: Any) -> Any:
    """Return `result`, newly made, with those of some matrices replaced."""
    if isinstance(result, tuple):
        return tuple(_replace(r, where, p) for r, p in zip(result, part, strict=True))
    result[where] = part
    return result
