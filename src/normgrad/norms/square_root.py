r"""The proximal map of the square of a norm, by that of the norm.

The minimiser z of ``t ||z||^2 + |z - s|^2 / 2`` is that of ``tau ||z|| + |z - s|^2 / 2`` for
``tau = 2 t v`` and ``v = ||z||``: the root of

    psi(v) = ||prox_(2 t v)(s)|| - v,

which falls from ``||s||`` at 0. With ``mu = (s - z)/tau``, a subgradient of the norm at z, and
``w = -dz/dtau`` at fixed s, ``d ||z|| / dtau = -kappa`` for ``kappa = <mu, w>`` (since mu maximises
``<mu, z> = ||z||`` in the dual ball): Newton's method has ``psi' = -1 - 2 t kappa``. A bracket
takes care of it where psi is not convex.

With P the derivative of z in s at fixed tau, self-adjoint, ``w = P mu``, and

    dz = P ds - w 2 t / (1 + 2 t kappa) <w, ds> - w 2 v / (1 + 2 t kappa) dt.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from normgrad.arithmetic import Array, divide, machine_epsilon, namespace, real_inner, while_loop

__all__ = ["SquareRoot", "square_root"]

_MOST = 60
"""Steps; some five are usual, and bisection alone would not take more."""


class SquareRoot(NamedTuple):
    """The root v, and what the derivative has besides P.

    Parameters
    ----------
    proximal : Proximal or EntrywiseProximal
        That of the norm, for the step ``2 t v``.
    factor : (...) array
        Next to 1, by which its point has the norm v: for large t there is cancellation in it.
    coupling, in_step : (...) array
        ``2 t / (1 + 2 t kappa)`` and ``2 v / (1 + 2 t kappa)``.
    alive : (...) array
        0 where s is 0 and t is not: there the derivative depends on the direction, and is 0; else
        1.
    """

    proximal: Any
    factor: Array
    coupling: Array
    in_step: Array
    alive: Array


def square_root(
    proximal: Callable[[Array], tuple[Any, Array, Array]],
    norm: Callable[[Array], Array],
    s: Array,
    slope: Array,
    t: Array,
) -> SquareRoot:
    """Return the root for s, (..., m, n), with the subgradient `slope` there.

    `proximal` takes a step to the proximal map of the norm at s, and its z and ``-w``.
    """
    xp, few = namespace(t), 4 * machine_epsilon(t)
    m, n = s.shape[-2:]
    endless, t = (
        t == float("inf"),
        xp.minimum(t, xp.full_like(t, float(xp.finfo(t.dtype).max) / (8 * m * n))),
    )

    def at(v: Array) -> tuple[Any, Array, Array]:
        tau = 2 * t * v
        whole, z, minus_w = proximal(tau)
        # 2 t kappa, where (s - z)/v = 2 t mu: tau may be too small to divide by. (The map starts
        # to move by the subgradient of least norm)
        falls = divide(real_inner(s - z, -minus_w), v)
        falls = xp.where(tau > 0, falls, 2 * t * real_inner(slope, slope))
        return whole, norm(z), 1 + falls

    def step(state: Any) -> Any:
        v, low, high, _, count = state
        _, size, steepness = at(v)
        low, high = xp.where(size >= v, v, low), xp.where(size >= v, high, v)
        better = v + (size - v) / steepness
        moved = xp.abs(better - v) > few * better
        # (not the lower end, which has been seen: there and back again)
        better = xp.where((better > low) & (better <= high), better, (low + high) / 2)
        return xp.where(moved, better, v), low, high, xp.any(moved), count + 1

    high = norm(s)
    start = 0 * high, 0 * high, high, xp.any(high >= 0), 0
    v = while_loop(lambda state: state[3] & (state[4] < _MOST), step, start)[0]
    v = xp.where(endless, 0.0, v)
    whole, size, steepness = at(v)
    alive = xp.astype((v > 0) | (t == 0), v.dtype)
    return SquareRoot(whole, divide(v, size), 2 * t / steepness, 2 * v / steepness, alive)
