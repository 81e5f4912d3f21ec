"""The norms, and the one table of the names they go by."""

import math
from typing import Any

from normgrad.norms.base import (
    Curvature,
    EntrywiseNorm,
    EntrywiseProximal,
    Norm,
    Proximal,
    UnitarilyInvariantNorm,
    norm_of_name,
)
from normgrad.norms.frobenius import Frobenius
from normgrad.norms.functions import HuberNuclear, SpectralFunction
from normgrad.norms.induced import AbsoluteSum, SumOfLargest
from normgrad.norms.ky_fan import DualKyFan, KyFan
from normgrad.norms.nuclear import Nuclear
from normgrad.norms.schatten import Schatten
from normgrad.norms.spectral import SmallestSingularValue, Spectral
from normgrad.norms.squared import Squared
from normgrad.norms.weighted import WeightedNuclear

__all__ = [
    "ALIASES",
    "AbsoluteSum",
    "Curvature",
    "DualKyFan",
    "EntrywiseNorm",
    "EntrywiseProximal",
    "Frobenius",
    "HuberNuclear",
    "KyFan",
    "Norm",
    "Nuclear",
    "Proximal",
    "Schatten",
    "SmallestSingularValue",
    "Spectral",
    "SpectralFunction",
    "Squared",
    "SumOfLargest",
    "UnitarilyInvariantNorm",
    "WeightedNuclear",
    "norm_of_name",
    "resolve",
]

ALIASES: dict[Any, Norm] = {
    "fro": Frobenius(),
    "nuc": Nuclear(),
    2: Spectral(),
    -2: SmallestSingularValue(),
    1: AbsoluteSum(axis=-2),
    -1: AbsoluteSum(axis=-2, largest=False),
    math.inf: AbsoluteSum(axis=-1),
    -math.inf: AbsoluteSum(axis=-1, largest=False),
}
"""Every ``ord`` of numpy.linalg.matrix_norm."""


def resolve(ord: Any) -> Norm:
    """Return the norm that `ord` means.

    Raises
    ------
    ValueError
        If it means none; the message names those that do.
    """
    if isinstance(ord, Norm):
        return _simplest(ord)
    try:
        known = ord in ALIASES and not isinstance(ord, bool)
    except TypeError:  # not hashable
        known = False
    if known:
        return ALIASES[ord]
    names = ", ".join(repr(name) for name in ALIASES)
    raise ValueError(
        f"ord={_short(ord)} is not a matrix norm{_hint(ord)}. Valid: {names}, or a norm object: "
        "Frobenius(), Spectral(), Nuclear(), Schatten(p), KyFan(k), Squared(ord), "
        "HuberNuclear(mu), WeightedNuclear(weights), SpectralFunction(f, df, d2f). "
        "A Schatten p norm is written Schatten(p), never as a bare number"
    )


_MEANT = {
    "nuclear": "'nuc'",
    "trace": "'nuc'",
    "nuclear_norm": "'nuc'",
    "f": "'fro'",
    "frobenius": "'fro'",
    "spectral": "2",
    "spectral_norm": "2",
    "operator": "2",
    "2": "2",
    "l2": "2",
    "1": "1",
    "l1": "1",
    "schatten": "Schatten(p)",
    "ky_fan": "KyFan(k)",
    "inf": "float('inf')",
    "-inf": "-float('inf')",
}


def _hint(ord: Any) -> str:
    """Return what was probably meant."""
    if isinstance(ord, str):
        lower = ord.lower()
        meant = repr(lower) if lower in ALIASES else _MEANT.get(lower)
        return f" (did you mean {meant}?)" if meant else ""
    if isinstance(ord, type) and issubclass(ord, Norm):
        return f", but a class of them: write {ord.__name__}(...)"
    if callable(ord) and hasattr(ord, "__name__"):
        return f", but a function: {ord.__name__}(x) itself may be what you mean"
    if "Tracer" in type(ord).__name__:
        return (
            ", but a number that is being traced, and the norm must be known before; mark it "
            "static (jax.jit(..., static_argnames='ord'))"
        )
    return ""


def _short(ord: Any) -> str:
    """Return a representation of one line."""
    if hasattr(ord, "shape"):
        return f"(an array of shape {tuple(ord.shape)})"
    text = repr(ord)
    return text if len(text) <= 60 else text[:57] + "..."


def _simplest(norm: Norm) -> Norm:
    """Return the same norm in the form that is cheapest to compute."""
    if isinstance(norm, Schatten):
        if norm.p == 1:
            return Nuclear(norm.rank_tol)
        if norm.p == 2:
            return Frobenius()
        if norm.p == math.inf:
            return Spectral(rank_tol=norm.rank_tol)
    if isinstance(norm, KyFan) and norm.k == 1:
        return Spectral(norm.tie_tol, norm.rank_tol)
    if isinstance(norm, Squared):
        return norm.form()
    if isinstance(norm, DualKyFan) and norm.k == 1:
        return Nuclear(norm.rank_tol, norm.tie_tol)
    return norm
