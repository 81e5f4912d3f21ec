"""The account of which factorization is used, and why."""

from dataclasses import dataclass

import numpy as np

from normgrad.arithmetic import Array, dtype_name, is_traced, namespace
from normgrad.calculus import (
    NormBySingularValues,
    NormOfStructure,
    NormRule,
    Scaled,
    considered,
    is_empty,
    normalise,
)
from normgrad.factorizations import Verdict
from normgrad.matrices import Fixed
from normgrad.norms import Norm

__all__ = ["Explanation", "explain_rule"]


@dataclass(frozen=True)
class Explanation:
    """Which factorization is used for a norm of a matrix, and why; print it.

    Parameters
    ----------
    norm : Norm
    shape : tuple of int
    dtype : str
        In which it is computed.
    factorization : str
        Its name, a valid ``method``, or "none".
    reason : str
    considered : tuple of (str, Verdict)
        All that were asked, in order; a verdict is (accepted, reason).
    """

    norm: Norm
    shape: tuple[int, ...]
    dtype: str
    factorization: str
    reason: str
    considered: tuple[tuple[str, Verdict], ...] = ()

    def __str__(self) -> str:
        batch = " x ".join(map(str, self.shape[:-2]))
        noun = f"matrix in a batch of {batch}" if batch else "matrix"
        m, n = self.shape[-2:]
        lines = [f"{self.norm} of a {m} x {n} {self.dtype} {noun}: {self.factorization}"]
        if not self.considered:
            lines.append(f"  {self.reason}")
        for name, verdict in self.considered:
            lines.append(f"  {name}: {'yes' if verdict.accepted else 'no'}, {verdict.reason}")
        return "\n".join(lines)


def explain_rule(rule: NormRule, A: Array) -> Explanation:
    """Return the explanation for a rule at a matrix."""
    shape = tuple(int(i) for i in A.shape)
    dtype = dtype_name(A.dtype)
    if isinstance(rule, NormOfStructure):
        return _explain_structure(rule, A)
    if not isinstance(rule, NormBySingularValues):
        why = "the norm is a function of the entries: one pass, no factorization"
        return Explanation(rule.norm, shape, dtype, "none", why)
    if 0 in shape:
        return Explanation(rule.norm, shape, dtype, "none", "an empty matrix has norm 0")
    scaled = normalise(A)
    if not is_traced(A) and scaled.size is not None and not _any_finite(scaled.size):
        why = "the matrix has NaN or inf, and so has its norm"
        return Explanation(rule.norm, shape, dtype, "none", why)
    considered = rule.account(scaled.matrix)
    name, verdict = next((c for c in considered if c[1].accepted), considered[-1])
    return Explanation(rule.norm, shape, dtype, name, verdict.reason, tuple(considered))


def _any_finite(size: Array) -> bool:
    xp = namespace(size)
    return bool(xp.any(xp.isfinite(size)))


def _explain_structure(rule: NormOfStructure, x: Array) -> Explanation:
    A = rule.embedding.at(rule.embedding.rows(x))
    dtype = dtype_name(x.dtype)
    if not is_empty(rule.embedding, x):
        A = Scaled.of(rule.embedding, x, rule.norm).matrix(rule.embedding)  # as for the norm
    with np.errstate(all="ignore"):
        asked = considered(A, rule.norm, rule.method)
    if not asked or not asked[-1][1].accepted:
        rule.structure(A)  # raises
    structure, verdict = asked[-1]
    account = tuple((s.name, v) for s, v in asked if s.name != "none")
    kind = type(A.matrix if isinstance(A, Fixed) else A).__name__
    return Explanation(
        rule.norm, A.shape, f"{dtype} {kind}", structure.name, verdict.reason, account
    )
