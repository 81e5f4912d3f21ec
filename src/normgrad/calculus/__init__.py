"""The calculus of matrix norms: pure functions of arrays, and every hard formula."""

from normgrad.calculus.by_entries import EntrywiseDerivative, NormByEntries
from normgrad.calculus.by_singular_values import (
    NormBySingularValues,
    SpectralDerivative,
    TrackedSpectral,
    ZeroDerivative,
)
from normgrad.calculus.convex import (
    Oracle,
    ProjectionByEntries,
    ProjectionBySingularValues,
    ProxByEntries,
    ProxBySingularValues,
    rank_after_threshold,
)
from normgrad.calculus.lift import LiftDerivative, lift
from normgrad.calculus.names import rule_of_name
from normgrad.calculus.normalise import Normalised, normalise, restore
from normgrad.calculus.polar import PolarByIteration
from normgrad.calculus.rules import Derivative, NormRule, ProxRule, Rule
from normgrad.calculus.small import is_small
from normgrad.calculus.structured import NormOfStructure, Scaled, StructuredDerivative, is_empty
from normgrad.calculus.structured_convex import (
    FactoredMap,
    RowDerivative,
    projection_of_structure,
    prox_of_structure,
)
from normgrad.calculus.structured_oracle import FactoredOracle, oracle_of_structure
from normgrad.calculus.structures import considered
from normgrad.calculus.subdifferential import nearest_subgradient
from normgrad.calculus.tolerances import Tolerances, tolerances

__all__ = [
    "Derivative",
    "EntrywiseDerivative",
    "FactoredMap",
    "FactoredOracle",
    "LiftDerivative",
    "NormByEntries",
    "NormBySingularValues",
    "NormOfStructure",
    "NormRule",
    "Normalised",
    "Oracle",
    "PolarByIteration",
    "ProjectionByEntries",
    "ProjectionBySingularValues",
    "ProxByEntries",
    "ProxBySingularValues",
    "ProxRule",
    "RowDerivative",
    "Rule",
    "Scaled",
    "SpectralDerivative",
    "StructuredDerivative",
    "Tolerances",
    "TrackedSpectral",
    "ZeroDerivative",
    "considered",
    "is_empty",
    "is_small",
    "lift",
    "nearest_subgradient",
    "normalise",
    "oracle_of_structure",
    "projection_of_structure",
    "prox_of_structure",
    "rank_after_threshold",
    "restore",
    "rule_of_name",
    "tolerances",
]
