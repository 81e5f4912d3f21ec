r"""The element of a subdifferential that is nearest to a given matrix.

``subdiff ||A|| = { U diag(mu) V^H }`` over all slopes mu and all pairs of singular vectors
(Watson 1992). For the Ky Fan k norm, with the spectral (k = 1) and the nuclear one (k = all), in
the bases of one pair it is

    I on the singular values above s_k;
    on those tied with s_k > 0: a Hermitian block H, 0 <= H <= I, of the trace that is missing;
    on the zeros, and beyond, where s_k = 0: any block of spectral norm <= 1, and of nuclear norm
    at most the number that is missing,

and 0 elsewhere. The blocks are orthogonal to each other, so the nearest element is found in each.
"""

from typing import Any

from normgrad.arithmetic import (
    Array,
    adjoint,
    conj,
    divide,
    identity,
    namespace,
    phase,
    real,
    while_loop,
)
from normgrad.calculus.by_entries import NormByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues, Seen, is_empty
from normgrad.calculus.convex import ProjectionByEntries, ProjectionBySingularValues
from normgrad.calculus.normalise import normalise
from normgrad.calculus.rules import NormRule, ProxRule
from normgrad.calculus.tolerances import tolerances
from normgrad.norms import (
    AbsoluteSum,
    EntrywiseNorm,
    Frobenius,
    KyFan,
    Norm,
    Nuclear,
    Schatten,
    Spectral,
    SumOfLargest,
)

__all__ = ["nearest_subgradient"]


def nearest_subgradient(norm: Norm, A: Array, g: Array) -> Array:
    """Return the subgradient of the norm at A that is nearest to g."""
    if is_empty(A):
        return g
    if isinstance(norm, (Frobenius, Schatten)):
        return _of_smooth(norm, A, g)
    if isinstance(norm, Nuclear):
        norm = KyFan(min(A.shape[-2:]), rank_tol=norm.rank_tol)
    if isinstance(norm, Spectral):
        norm = KyFan(1, norm.tie_tol)
    if isinstance(norm, KyFan):
        rule = NormBySingularValues(norm)
        k = norm.k
        scaled = normalise(A)
        Y = rule.at(scaled, lambda at: _of_ky_fan(k, at, g), complete=True)
    elif isinstance(norm, AbsoluteSum) and norm.largest:
        scaled = normalise(A)
        Y = _of_columns(norm, scaled.matrix, g)
    else:
        raise NotImplementedError(
            f"the subdifferential of the {norm} is not available; it is for 'fro', 'nuc', 2, 1, "
            "inf, Schatten(p) and KyFan(k)"
        )
    if scaled.size is None:
        return Y
    xp = namespace(A)
    return xp.where(xp.isfinite(scaled.size)[..., None, None], Y, float("nan"))


def _of_smooth(norm: Frobenius | Schatten, A: Array, g: Array) -> Array:
    """Return the gradient, and at 0 the nearest of the dual ball."""
    xp = namespace(A)
    gradient: NormRule
    ball: ProxRule
    if isinstance(norm, EntrywiseNorm):
        gradient, ball = NormByEntries(norm), ProjectionByEntries(norm)
    else:
        dual: Any = norm.dual()
        gradient, ball = NormBySingularValues(norm), ProjectionBySingularValues(dual)
    value, G = gradient.value_and_gradient(A)
    inside = ball.prox(g, xp.ones_like(value))
    return xp.where((value == 0)[..., None, None], inside, G)


def _of_ky_fan(k: int, at: Seen, g: Array) -> Array:
    xp = namespace(g)
    u, v, s = at.spectrum.u, at.spectrum.v, at.s
    gap = at.tie * s[..., :1]
    edge = s[..., k - 1 :][..., :1]
    above = xp.astype(s > edge + gap, s.dtype)
    tied = xp.astype((xp.abs(s - edge) <= gap) & (s > 0), s.dtype)
    missing = k - xp.sum(above, axis=-1, keepdims=True)
    unit = identity(s.shape[-1], s)
    # the tied: eigenvalues of the Hermitian part; the others are set apart, at the bottom
    block = tied[..., :, None] * u.coefficients(v.coefficients_right(g)) * tied[..., None, :]
    bottom = 10 + 2 * xp.sum(xp.abs(block), axis=(-2, -1))[..., None, None]
    e, Q = xp.linalg.eigh((block + adjoint(block)) / 2 - bottom * ((1 - tied)[..., None] * unit))
    h = _clipped(e, missing, -bottom[..., 0] / 2)
    H = (Q * h[..., None, :]) @ adjoint(Q)
    some = xp.astype(xp.any(tied > 0, axis=-1), s.dtype)[..., None, None]
    core = above[..., None] * unit + some * H
    # the zeros and what is beyond: g without rows and columns of the others
    rest = g - u.expand(above[..., :, None] * u.coefficients(g))
    rest = rest - v.expand_right(v.coefficients_right(rest) * above[..., None, :])
    W, sigma, Zh = xp.linalg.svd(rest, full_matrices=False)
    inside = (W * _clipped(sigma, missing, 0 * missing)[..., None, :]) @ Zh
    return u.expand(v.expand_right(core)) + (1 - some) * inside


def _clipped(e: Array, total: Array, lowest: Array) -> Array:
    """Return ``min(max(e - theta, 0), 1)`` of that total, or less with theta = lowest.

    The sum is piecewise linear in theta, between the ends e and e - 1: it is known at each of
    them, in descending order, by cumulative sums.
    """
    xp = namespace(e)
    one = xp.ones_like(e)
    ends, turns = xp.concat([e, e - 1], axis=-1), xp.concat([one, -one], axis=-1)
    order = xp.argsort(ends, axis=-1, descending=True)
    ends, turns = (xp.take_along_axis(x, order, axis=-1) for x in (ends, turns))
    rate = xp.cumulative_sum(turns, axis=-1)
    sums = xp.cumulative_sum(turns * ends, axis=-1) - rate * ends
    last = xp.sum(xp.astype(sums <= total, xp.int32), axis=-1, keepdims=True) - 1
    last = xp.maximum(last, xp.zeros_like(last))
    end, rate, reached = (xp.take_along_axis(x, last, axis=-1) for x in (ends, rate, sums))
    theta = xp.maximum(end - divide(total - reached, rate), lowest + 0 * end)
    return xp.clip(e - theta, 0.0, 1.0)


def _of_columns(norm: AbsoluteSum, A: Array, g: Array) -> Array:
    """Return the nearest of ``{lambda_j y_j}`` over the tied columns, lambda in the simplex.

    y_j has the phases of the column, and moduli up to 1 at its zeros. Where nu is the common
    derivative of the squared distances, ``lambda_j = max_i (nu + c_j + sum of the i largest
    |g| at zeros) / (nonzeros + i)`` or 0, c_j = Re<phases, g_j>; their sum is convex in nu, and
    Newton's method from above finds the nu for which it is 1.
    """
    if norm.axis == -1:
        return _of_columns(AbsoluteSum(-2, tie_tol=norm.tie_tol), A.mT, g.mT).mT
    xp = namespace(A)
    tie = tolerances(norm, A).tie
    size, sign, length = xp.abs(A), phase(A), xp.abs(g)
    sums = xp.sum(size, axis=-2, keepdims=True)
    tied = sums >= xp.max(sums, axis=-1, keepdims=True) * (1 - tie)
    nonzero = xp.astype(size > 0, size.dtype)
    count = xp.sum(nonzero, axis=-2, keepdims=True)
    c = xp.sum(real(conj(sign) * g), axis=-2, keepdims=True)
    free = xp.sort(length * (1 - nonzero), axis=-2, descending=True)
    none = xp.zeros_like(count)
    gains = xp.concat([none, xp.cumulative_sum(free, axis=-2)], axis=-2)
    order = xp.concat([none, xp.cumulative_sum(xp.ones_like(size), axis=-2)], axis=-2)
    # more than there are zeros adds nothing to the gain, and never makes the largest
    slots = count + order
    slots = xp.where(slots > 0, slots, 1.0)
    zero = xp.max(sums, axis=-1, keepdims=True) == 0

    def weights(nu: Array) -> tuple[Array, Array]:
        each = (nu + c + gains) / slots
        top = xp.max(each, axis=-2, keepdims=True)
        active = tied & (top > 0)
        rate = xp.max(xp.where(each == top, 1 / slots, 0.0), axis=-2, keepdims=True)
        return xp.where(active, top, 0.0), xp.where(active, rate, 0.0)

    nu = xp.max(xp.where(tied, count - c, -float("inf")), axis=-1, keepdims=True)

    def newton(state: Any) -> Any:
        nu, count = state
        lam, rate = weights(nu)
        excess = xp.sum(lam, axis=-1, keepdims=True) - 1
        return nu - divide(excess, xp.sum(rate, axis=-1, keepdims=True)), count + 1

    nu, _ = while_loop(lambda state: state[1] < 2 * A.shape[-1] + 40, newton, (nu, 0))
    lam = weights(nu)[0]
    Y = sign * lam + (1 - nonzero) * phase(g) * xp.minimum(length, lam)
    ball = ProjectionByEntries(SumOfLargest(-2))
    inside = ball.prox(g, xp.ones_like(size[..., 0, 0]))
    return xp.where(zero, inside, Y)
