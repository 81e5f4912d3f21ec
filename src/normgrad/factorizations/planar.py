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
    """Real 2 x 2 matrices as rotations and reflections, known by their lifts.

    They have the place of a `Spectrum` that is not complete.

    Parameters
    ----------
    s : (..., 2) array
        The singular values, descending.
    z : (4, count) array
        The real parts of z1 and z2, then the imaginary parts.
    h : (2, count) array
        Their moduli.
    """

    s: Array
    z: Array
    h: Array
    u: None = None
    v: None = None
    complete: bool = False
    defect: None = None

    def lift(self, g: Array) -> Array:
        """Return ``U diag(g) V^T``, (..., 2, 2), for g with ``g2 = 0`` where ``s_2 = 0``."""
        xp, (z, h) = namespace(g), (self.z, self.h)
        first, second = xp.reshape(g, (-1, 2)).mT
        second = xp.sign(h[0] - h[1]) * second
        # the factors of z1 and z2, halved; where z is 0 the value of its factor is of no effect
        factors = xp.stack([first + second, first - second]) / (2 * xp.where(h == 0, 1.0, h))
        (r1, r2), (i1, i2) = factors * xp.reshape(z, (2, *h.shape))
        entries = xp.stack([r1 + r2, i2 - i1, i1 + i2, r1 - r2], axis=-1)
        return xp.reshape(entries, (*g.shape[:-1], 2, 2))


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
        a, b, c, d = xp.reshape(A, (-1, 4)).mT
        z = xp.stack([a + d, a - d, c - b, c + b])
        squares = z * z
        h = xp.sqrt(squares[:2] + squares[2:])
        s = xp.stack([h[0] + h[1], xp.abs(h[0] - h[1])]) / 2
        spectrum: Any = Planar(xp.reshape(s.mT, A.shape[:-1]), z, h)
        return Outcome(spectrum, True, "closed form")
