"""The calculus of matrix norms: pure functions of arrays, and every hard formula."""

from normgrad.calculus.by_entries import (
    EntrywiseDerivative,
    EntrywiseProxDerivative,
    NormByEntries,
    ProxByEntries,
)
from normgrad.calculus.by_singular_values import (
    NormBySingularValues,
    ProxBySingularValues,
    SpectralDerivative,
    TrackedSpectral,
    ZeroDerivative,
)
from normgrad.calculus.lift import LiftDerivative, lift
from normgrad.calculus.names import rule_of_name
from normgrad.calculus.normalise import Normalised, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule, ProxRule, Rule
from normgrad.calculus.structured import NormOfStructure, StructuredDerivative
from normgrad.calculus.structures import considered
from normgrad.calculus.tolerances import Tolerances, tolerances

__all__ = [
    "Derivative",
    "EntrywiseDerivative",
    "EntrywiseProxDerivative",
    "LiftDerivative",
    "NormByEntries",
    "NormBySingularValues",
    "NormOfStructure",
    "NormRule",
    "Normalised",
    "ProxByEntries",
    "ProxBySingularValues",
    "ProxRule",
    "Rule",
    "SpectralDerivative",
    "StructuredDerivative",
    "Tolerances",
    "TrackedSpectral",
    "ZeroDerivative",
    "considered",
    "lift",
    "normalise",
    "restore",
    "rule_of_name",
    "tolerances",
]
