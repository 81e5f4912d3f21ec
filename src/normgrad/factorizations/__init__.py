"""How singular triplets are had: one file each, and the table that chooses."""

from normgrad.factorizations.base import (
    Columns,
    Coordinates,
    Factorization,
    Frame,
    Spectrum,
    Verdict,
)
from normgrad.factorizations.choose import TABLE, Choice, check_method, choose, methods

__all__ = [
    "TABLE",
    "Choice",
    "Columns",
    "Coordinates",
    "Factorization",
    "Frame",
    "Spectrum",
    "Verdict",
    "check_method",
    "choose",
    "methods",
]
