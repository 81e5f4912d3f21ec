"""How the norm of a structured matrix is had, by the first way of a table that is open."""

from normgrad.calculus.structures.base import Structure
from normgrad.calculus.structures.blocks import Blocks
from normgrad.calculus.structures.entire import Eigenvalues, Entire
from normgrad.calculus.structures.entries import Entries, Singular, Trace
from normgrad.calculus.structures.factors import Factors
from normgrad.calculus.structures.isometry import MultipleOfIsometry
from normgrad.calculus.structures.kronecker import KroneckerTriplets, ProductOfNorms
from normgrad.calculus.structures.lines import Lines
from normgrad.calculus.structures.products import ByProducts
from normgrad.factorizations import Verdict
from normgrad.matrices import Matrix
from normgrad.norms import Norm

__all__ = ["TABLE", "choose", "considered"]

TABLE: tuple[type[Structure], ...] = (
    Singular,
    Entries,
    Lines,
    Trace,
    Eigenvalues,
    Blocks,
    ProductOfNorms,
    KroneckerTriplets,
    Factors,
    MultipleOfIsometry,
    ByProducts,
    Entire,
)
"""In the order in which ``method="auto"`` considers them."""


def considered(A: Matrix, norm: Norm, method: str) -> list[tuple[type[Structure], Verdict]]:
    """Return what was asked for a matrix, in order; the last one is taken if it accepts."""
    found = []
    for structure in TABLE:
        if method in ("auto", structure.name):
            found.append((structure, structure.verdict(A, norm)))
            if found[-1][1].accepted:
                break
    return found


def choose(A: Matrix, norm: Norm, method: str) -> Structure:
    """Return the first way that is open.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = considered(A, norm, method)
    if not found:
        names = sorted({structure.name for structure in TABLE} - {"none"})
        raise ValueError(
            f"method={method!r} is not for matrix types; those have 'auto', "
            + ", ".join(map(repr, names))
        )
    structure, verdict = found[-1]
    if not verdict.accepted:
        reasons = "; ".join(f"{s.name}: {v.reason}" for s, v in found[-2:])
        raise ValueError(
            f"there is no way to the {norm} of a {type(A).__name__} of shape {A.shape}. {reasons}"
        )
    return structure(norm)
