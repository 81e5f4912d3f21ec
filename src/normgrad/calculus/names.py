"""Rules by name, for places where an object cannot go."""

from typing import Any

from normgrad.calculus.by_entries import NormByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues
from normgrad.calculus.convex import (
    Oracle,
    ProjectionByEntries,
    ProjectionBySingularValues,
    ProxByEntries,
    ProxBySingularValues,
)
from normgrad.calculus.polar import PolarByIteration
from normgrad.norms import norm_of_name

__all__ = ["rule_of_name"]

_RULES: dict[str, Any] = {
    rule.__name__: rule
    for rule in (
        NormByEntries,
        NormBySingularValues,
        PolarByIteration,
        ProjectionByEntries,
        ProjectionBySingularValues,
        ProxByEntries,
        ProxBySingularValues,
    )
}


def rule_of_name(name: str) -> Any:
    """Return the rule whose `Rule.name` is given."""
    rule, rest = name.split("/", 1)
    if rule == Oracle.__name__:
        return Oracle(rule_of_name(rest))
    rule, method, norm = name.split("/", 2)
    return _RULES[rule](norm_of_name(norm), method)
