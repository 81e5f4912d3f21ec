"""Rules by name, for places where an object cannot go."""

from typing import Any

from normgrad.calculus.by_entries import NormByEntries, ProxByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues, ProxBySingularValues
from normgrad.norms import norm_of_name

__all__ = ["rule_of_name"]

_RULES: dict[str, Any] = {
    rule.__name__: rule
    for rule in (NormByEntries, NormBySingularValues, ProxByEntries, ProxBySingularValues)
}


def rule_of_name(name: str) -> Any:
    """Return the rule whose `Rule.name` is given."""
    rule, method, norm = name.split("/", 2)
    return _RULES[rule](norm_of_name(norm), method)
