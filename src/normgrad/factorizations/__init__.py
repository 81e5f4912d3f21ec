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
from normgrad.factorizations.tracking import Tracked, tracked

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
    "Tracked",
    "Verdict",
    "check_method",
    "decompose",
    "methods",
    "settle",
    "tracked",
]
