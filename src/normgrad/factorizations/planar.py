r"""Real 2 x 2 matrices: a multiple of a rotation plus a multiple of a reflection.

As a map of the plane of complex numbers z, the matrix ``[[a, b], [c, d]]`` is

    z  ->  (z1 z + z2 conj(z)) / 2,    z1 = (a + d) + i (c - b),    z2 = (a - d) + i (c + b).

Of unit vectors it turns some so that the two terms align, others so that they oppose each
other: with ``h1 = |z1|`` and ``h2 = |z2|``,

    s_1 = (h1 + h2) / 2,    s_2 = |h1 - h2| / 2,    sign(h1 - h2) = sign(det A).

The lift of g keeps the singular vectors, hence the phases of z1 and z2. With ``(g1, g2)`` in
place of ``(s_1, s_2)`` it has ``g1 + sign(det A) g2`` in place of h1, and
``g1 - sign(det A) g2`` in place of h2: no vectors, no angles. (The closed form is known from
computer graphics: Blinn, IEEE Computer Graphics and Applications 16, 1996.)
"""

from typing import Any, NamedTuple, final

from normgrad.arithmetic import Array, is_complex, namespace
from normgrad.factorizations.base import Demand, Factorization, Outcome, Verdict

__all__ = ["Planar", "RotationAndReflection"]


class Planar(NamedTuple):
    """A real 2 x 2 matrix as a rotation and a reflection, known by its lifts.

    It has the place of a `Spectrum` that is not complete.

    Parameters
    ----------
    s : (..., 2) array
        The singular values, descending.
    rotation, reflection : tuple of arrays
        Real part, imaginary part and modulus of z1 and of z2, each (...).
    """

    s: Array
    rotation: tuple[Array, Array, Array]
    reflection: tuple[Array, Array, Array]
    u: None = None
    v: None = None
    complete: bool = False
    defect: None = None

    def lift(self, g: Array) -> Array:
        """Return ``U diag(g) V^T``, (..., 2, 2), for g with ``g2 = 0`` where ``s_2 = 0``."""
        xp = namespace(g)
        (x1, y1, h1), (x2, y2, h2) = self.rotation, self.reflection
        g1, g2 = g[..., 0], xp.sign(h1 - h2) * g[..., 1]
        # the factors of z1 and z2, halved; where z is 0 the value of its factor is of no effect
        f1 = (g1 + g2) / (2 * xp.where(h1 == 0, 1.0, h1))
        f2 = (g1 - g2) / (2 * xp.where(h2 == 0, 1.0, h2))
        x1, y1, x2, y2 = f1 * x1, f1 * y1, f2 * x2, f2 * y2
        G = xp.stack([x1 + x2, y2 - y1, y1 + y2, x1 - x2])
        return xp.moveaxis(xp.reshape(G, (2, 2, *x1.shape)), (0, 1), (-2, -1))


@final
class RotationAndReflection(Factorization):
    """The closed form of the singular values of real 2 x 2 matrices, one or many."""

    name = "planar"
    certain = True

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        if tuple(A.shape[-2:]) != (2, 2) or is_complex(A):
            return Verdict(False, "there is a closed form for real 2 x 2 matrices only")
        if A.ndim == 2 and not demand.named:
            return Verdict(False, "for one matrix an SVD is as quick")
        if demand.complete:
            return Verdict(False, "the closed form has no singular vectors")
        return Verdict(True, "a real 2 x 2 matrix is a rotation and a reflection, each scaled")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        xp = namespace(A)
        a, b, c, d = A[..., 0, 0], A[..., 0, 1], A[..., 1, 0], A[..., 1, 1]
        x1, y1, x2, y2 = a + d, c - b, a - d, c + b
        h1, h2 = xp.sqrt(x1 * x1 + y1 * y1), xp.sqrt(x2 * x2 + y2 * y2)
        s = xp.moveaxis(xp.stack([h1 + h2, abs(h1 - h2)]) / 2, 0, -1)
        spectrum: Any = Planar(s, (x1, y1, h1), (x2, y2, h2))
        return Outcome(spectrum, True, "closed form")
