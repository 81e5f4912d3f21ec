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
    usual,
)
from normgrad.factorizations.products import leading_triplets
from normgrad.factorizations.svd import thin_svd
from normgrad.factorizations.tracking import BLOCK, Tracked, tracked

__all__ = [
    "BLOCK",
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
    "leading_triplets",
    "methods",
    "settle",
    "thin_svd",
    "tracked",
    "usual",
]
