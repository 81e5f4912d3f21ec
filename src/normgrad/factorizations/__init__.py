"""How singular triplets are had: one file each, and the table that chooses."""

from normgrad.factorizations.base import (
    Columns,
    Coordinates,
    Demand,
    Factorization,
    Frame,
    Image,
    Outcome,
    Spectrum,
    Verdict,
)
from normgrad.factorizations.choose import (
    TABLE,
    Account,
    check_method,
    decompose,
    methods,
    settle,
)

__all__ = [
    "TABLE",
    "Account",
    "Columns",
    "Coordinates",
    "Demand",
    "Factorization",
    "Frame",
    "Image",
    "Outcome",
    "Spectrum",
    "Verdict",
    "check_method",
    "decompose",
    "methods",
    "settle",
]
