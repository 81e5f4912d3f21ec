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
    frobenius,
    identity,
    integers,
    machine_epsilon,
    namespace,
    phase,
    real,
    sometimes,
    while_loop,
)
from normgrad.calculus.by_entries import NormByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues, Seen, is_empty
from normgrad.calculus.convex import ProjectionByEntries, ProjectionBySingularValues
from normgrad.calculus.normalise import Normalised, cleared, normalise, restore
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

_MOST = 200
"""Newton steps; about ten are usual."""


def nearest_subgradient(norm: Norm, A: Array, g: Array) -> Array:
    """Return the subgradient of the norm at A that is nearest to g; NaN if either is not finite."""
    if is_empty(A):
        return g
    given = normalise(g)
    if isinstance(norm, Nuclear):
        norm = KyFan(min(A.shape[-2:]), rank_tol=norm.rank_tol)
    if isinstance(norm, Spectral):
        norm = KyFan(1, norm.tie_tol)
    if isinstance(norm, (Frobenius, Schatten)):
        at, Y = cleared(A), _of_smooth(norm, A, g)
    elif isinstance(norm, KyFan):
        at, rule, k = normalise(A), NormBySingularValues(norm), norm.k
        Y = rule.at(at, lambda seen: _of_ky_fan(k, seen, given), complete=True)
    elif isinstance(norm, AbsoluteSum) and norm.largest:
        at = cleared(A)
        Y = _of_lines(norm, at.matrix, given)
    else:
        raise NotImplementedError(
            f"the subdifferential of the {norm} is not available; it is for 'fro', 'nuc', 2, 1, "
            "inf, Schatten(p) and KyFan(k)"
        )
    return restore(Y, (at, 0), (given, 0))


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


def _of_ky_fan(k: int, at: Seen, given: Normalised) -> Array:
    g: Array = given.matrix
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
    bottom = 10 + 2 * frobenius(block)[..., None, None]
    e, Q = xp.linalg.eigh((block + adjoint(block)) / 2 - bottom * ((1 - tied)[..., None] * unit))
    h = _clipped(e, missing, given, -float("inf"))
    H = (Q * h[..., None, :]) @ adjoint(Q)
    some = xp.astype(xp.any(tied > 0, axis=-1), s.dtype)[..., None, None]
    core = above[..., None] * unit + some * H
    # the zeros and what is beyond: g without rows and columns of the others
    rest = g - u.expand(above[..., :, None] * u.coefficients(g))
    rest = rest - v.expand_right(v.coefficients_right(rest) * above[..., None, :])
    W, sigma, Zh = xp.linalg.svd(rest, full_matrices=False)
    inside = (W * _clipped(sigma, missing, given, 0.0)[..., None, :]) @ Zh
    return u.expand(v.expand_right(core)) + (1 - some) * inside


def _clipped(e: Array, total: Array, given: Normalised, lowest: float) -> Array:
    """Return ``min(max(e - theta, 0), 1)`` of that total, or less with theta = lowest.

    For the total T theta lies between ``e_T - 1`` and e_T, the T-th largest: with e counted from
    there, where it needs no more than to be cut at -1 and 1, a large g costs no digits. The sum is
    piecewise linear in theta, between the ends e and e - 1: it is known at each of them, in
    descending order, by cumulative sums.
    """
    xp = namespace(e)
    first = integers(e.shape[-1], e) < total
    descending = xp.sort(e, axis=-1, descending=True)
    middle = xp.min(xp.where(first, descending, float("inf")), axis=-1, keepdims=True)
    e = xp.clip(given.restored(e - middle), -1.0, 1.0)
    one = xp.ones_like(e)
    ends, turns = xp.concat([e, e - 1], axis=-1), xp.concat([one, -one], axis=-1)
    order = xp.argsort(ends, axis=-1, descending=True)
    ends, turns = (xp.take_along_axis(x, order, axis=-1) for x in (ends, turns))
    rate = xp.cumulative_sum(turns, axis=-1)
    sums = xp.cumulative_sum(turns * ends, axis=-1) - rate * ends
    last = xp.sum(xp.astype(sums <= total, xp.int32), axis=-1, keepdims=True) - 1
    last = xp.maximum(last, xp.zeros_like(last))
    end, rate, reached = (xp.take_along_axis(x, last, axis=-1) for x in (ends, rate, sums))
    theta = end - divide(total - reached, rate)
    theta = xp.maximum(theta, given.restored(lowest - middle))
    return xp.clip(e - theta, 0.0, 1.0)


def _of_lines(norm: AbsoluteSum, A: Array, given: Normalised) -> Array:
    """Return the nearest of ``{lambda_j y_j}`` over the tied columns, lambda in the simplex.

    y_j has the phases of the column, and moduli up to 1 at its zeros, where g has those of l.
    Where nu is the common derivative of the squared distances, counted from the least at 0, that
    of the column with the largest ``p_j = Re<phases, g_j> + sum l``,

        nu + p_j - max p = (nonzeros) lambda_j + sum min(l, lambda_j),

    or ``lambda_j = 0`` where the left side is negative. The right side is the least, over i, of
    ``(nonzeros + zeros - i) lambda_j + (sum of the i smallest l)``: so lambda_j is convex in nu,
    and Newton's method from above finds the nu for which their sum is 1. It needs l no farther than
    up to 1: large g costs no digits.
    """
    g: Array = given.matrix
    if norm.axis == -1:
        columns = AbsoluteSum(-2, tie_tol=norm.tie_tol)
        return _of_lines(columns, A.mT, given._replace(matrix=g.mT)).mT
    xp = namespace(A)
    sums, sign = norm.sums(A)[..., None, :], phase(A)
    top = xp.max(sums, axis=-1, keepdims=True)
    tied = norm.tied(sums, top, tolerances(norm, A).tie)
    nonzero = xp.astype(sign != 0, sums.dtype)
    length = xp.abs(g) * (1 - nonzero)
    potential = xp.sum(real(conj(sign) * g) + length, axis=-2, keepdims=True)
    potential = xp.where(tied, potential, -float("inf"))
    behind = given.restored(potential - xp.max(potential, axis=-1, keepdims=True))
    length = xp.clip(given.restored(length), 0.0, 1.0)
    count = xp.sum(nonzero, axis=-2, keepdims=True)
    none = xp.zeros_like(count)
    # (the nonzeros, with l = 0, are among the smallest: they never make the largest lambda)
    smallest = xp.cumulative_sum(xp.sort(length, axis=-2), axis=-2)
    smallest = xp.concat([none, smallest], axis=-2)
    order = xp.concat([none, xp.cumulative_sum(xp.ones_like(length), axis=-2)], axis=-2)
    slots = count + (A.shape[-2] - order)
    slots = xp.where(slots > 0, slots, 1.0)

    def weights(nu: Array) -> tuple[Array, Array]:
        each = (nu + behind - smallest) / slots
        top = xp.max(each, axis=-2, keepdims=True)
        rate = xp.max(xp.where(each == top, 1 / slots, 0.0), axis=-2, keepdims=True)
        return xp.where(top > 0, top, 0.0), xp.where(top > 0, rate, 0.0)

    def newton(state: Any) -> Any:
        nu, _, steps = state
        lam, rate = weights(nu)
        excess = xp.sum(lam, axis=-1, keepdims=True) - 1
        better = nu - divide(excess, xp.sum(rate, axis=-1, keepdims=True))
        moved = better < nu * (1 - 4 * machine_epsilon(nu))
        return xp.where(moved, better, nu), xp.any(moved), steps + 1

    # there one lambda is 1
    full = count + xp.sum(length, axis=-2, keepdims=True) - behind
    state = xp.min(full, axis=-1, keepdims=True), xp.any(tied), 0
    nu = while_loop(lambda state: state[1] & (state[2] < _MOST), newton, state)[0]
    lam = weights(nu)[0]
    Y = sign * lam + (1 - nonzero) * phase(g) * xp.minimum(length, lam)

    def with_zeros(Y: Array) -> Array:
        ball = ProjectionByEntries(SumOfLargest(-2))
        inside = ball.prox(given.restored(g), xp.ones_like(top[..., 0, 0]))
        return xp.where(top == 0, inside, Y)

    return sometimes(top == 0, with_zeros, Y)
