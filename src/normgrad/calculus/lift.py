r"""The lift of a map of singular values to matrices, and its derivative.

A symmetric map g on R^k lifts to ``A = U diag(s) V^H  ->  U diag(g(s)) V^H``. Gradient,
proximal map and projection of a unitarily invariant norm are lifts (a *spectral operator*:
Ding, Sun, Sun, Toh, Math. Program. 168, 2018).

Its derivative, with h the scalar function of `normgrad.norms.Curvature`, follows from the
Hermitian dilation ``[[0, A], [A^H, 0]]``, whose eigenvalues are s and -s (and zeros), by the
Daleckii-Krein theorem for the odd function h. In the direction E, with ``Et = U^H E V``,
``H = (Et + Et^H)/2`` and ``K = (Et - Et^H)/2``:

    dG = U [ P o H  +  M o K  +  diag(coupling) ] V^H                    (core)
         + (I - U U^H) E V diag(q) V^H                                   (left complement)
         + U diag(q) U^H E (I - V V^H)                                   (right complement)

    P_ij = h[s_i,  s_j] = (h(s_i) - h(s_j)) / (s_i - s_j),   P_ii = h'(s_i)
    M_ij = h[s_i, -s_j] = (h(s_i) + h(s_j)) / (s_i + s_j)
    q_i  = h[s_i,  0  ] = h(s_i) / s_i
    coupling = sum_c weight_c w_c (w_c^T Re diag Et)

Quotients 0/0 are h'(0). No quantity is added to a denominator, and no ``s_i^2 - s_j^2``
appears: where h is constant, as for the nuclear norm, equal singular values are harmless.
The map E -> dG is real-linear and self-adjoint for Re<.,.>, since P, M and the coupling are
symmetric: it is its own transpose, so it serves forward and reverse mode.
"""

from collections.abc import Callable
from typing import NamedTuple

from normgrad.arithmetic import (
    Array,
    add_to_diagonal,
    adjoint,
    divide,
    identity,
    is_complex,
    namespace,
    seen,
)
from normgrad.factorizations import Frame, Spectrum
from normgrad.norms import Curvature

__all__ = ["LiftDerivative", "lift"]


def lift(spectrum: Spectrum, g: Array, curvature: Callable[[], Curvature]) -> Array:
    """Return the lift of ``s -> g`` at the matrix with this spectrum.

    `curvature` is called where U is not quite orthonormal. With the defect ``E = U^H U - I``
    and ``Uo = U (I - E/2)``, orthonormal up to terms of second order, the matrix is
    ``Uo (diag(s) + E diag(s)/2) V^H``. The derivative above, at Uo and V in the direction
    ``Et = E diag(s)/2``, then gives up to second order in E

        U [ diag(g) - F ] V^H,    F_ij = E_ij s_i (M_ij - P_ij) / 2,

    with ``M - P = 2 g / (s_i + s_j)`` where g is constant.
    """
    E, u, v = spectrum.defect, spectrum.u, spectrum.v
    if E is None:
        return spectrum.lift(g)
    si, sj = spectrum.s[..., :, None], spectrum.s[..., None, :]
    xp = namespace(g)
    if seen(xp.all(g[..., :1] == g)):
        core = E * (si / (si + xp.where(sj > 0, sj, 1.0)))
        core *= -g[..., None]  # in its own memory, where the library has such
    else:
        at = curvature()
        gi, gj = g[..., :, None], g[..., None, :]
        # of a pair of which one counts as zero, `at` has not the s with which M is made
        P = xp.where((gi == 0) ^ (gj == 0), divide(gi - gj, si - sj), at.differences(spectrum.s, g))
        core = E * (si * ((P - _sums(spectrum.s, g, at.slope)) / 2))
    core = add_to_diagonal(core, g)
    if u.shape[0] < v.shape[0]:  # the defect is that of V: the same for the adjoint matrix
        return adjoint(v.expand(u.expand_right(core)))
    return u.expand(v.expand_right(core))


def _sums(s: Array, g: Array, slope: Array) -> Array:
    """Return M, ``(g_i + g_j) / (s_i + s_j)``."""
    return divide(
        g[..., :, None] + g[..., None, :],
        s[..., :, None] + s[..., None, :],
        otherwise=slope[..., :, None],
    )


class LiftDerivative(NamedTuple):
    """The derivative of a lift at one matrix, ready to be applied to any number of directions.

    Every field is an array or made of arrays, so that it can cross the boundary of a
    compiled function.
    """

    u: Frame
    v: Frame
    P: Array
    M: Array
    q: Array
    w: Array
    weight: Array

    @classmethod
    def at(cls, spectrum: Spectrum, s: Array, curvature: Curvature) -> "LiftDerivative":
        """Prepare the derivative; `s` are the singular values with which `curvature` was made."""
        if not spectrum.complete:
            raise ValueError("the derivative of a lift needs all singular triplets")
        g, slope = curvature.g, curvature.slope
        q = divide(g, s, otherwise=slope)
        P, M = curvature.differences(s, g), _sums(s, g, slope)
        w, weight = curvature.w, curvature.weight
        return cls(spectrum.u, spectrum.v, P / 2, M / 2, q, w, weight)

    def __call__(self, E: Array) -> Array:
        """Return dG in the direction(s) `E`, (..., m, n), in 4 matrix products."""
        (m, k), n = self.u.shape, self.v.shape[0]
        EV = self.v.coefficients_right(E)
        Et = self.u.coefficients(EV)
        rows = self.v.expand_right(self.core(Et))
        if n > k:  # right complement: diag(q) (U^H E - Et V^H)
            beyond = self.u.coefficients(E) - self.v.expand_right(Et)
            rows = rows + self.q[..., None] * beyond
        dG = self.u.expand(rows)
        if m > k:  # left complement: (E V - U Et) diag(q) V^H
            beyond = (EV - self.u.expand(Et)) * self.q[..., None, :]
            dG = dG + self.v.expand_right(beyond)
        return dG

    def core(self, Et: Array) -> Array:
        """Return ``P o H + M o K + diag(coupling)``, from ``Et = U^H E V``; P and M are halved."""
        xp, Eth = namespace(Et), adjoint(Et)
        core = self.P * (Et + Eth) + self.M * (Et - Eth)
        if not self.w.shape[-2]:  # there is no coupling
            return core
        unit = identity(self.w.shape[-1], self.w)
        stretch = xp.sum(unit * (xp.real(Et) if is_complex(Et) else Et), axis=-1)
        amount = self.weight * xp.sum(self.w * stretch[..., None, :], axis=-1)
        coupling = xp.sum(amount[..., None] * self.w, axis=-2)
        return core + coupling[..., None] * unit
