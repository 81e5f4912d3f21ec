"""Divided differences ``h[x, y]`` that stay accurate when x and y are nearly equal."""

from normgrad.arithmetic import Array, divide, namespace

__all__ = ["belonging", "clip_differences", "each", "power_differences", "step_differences"]


def each(number: Array, x: Array) -> Array:
    """Give one number per matrix, (...), the axes of x, (..., j), with others before the last."""
    xp = namespace(x)
    return xp.reshape(number, tuple(number.shape) + (1,) * (x.ndim - number.ndim))


def belonging(x: Array, s: Array, of_s: Array) -> Array:
    """Return what belongs to those of the singular values s, (..., k), that x are, (..., j).

    Of equal ones it is the largest: a mean would be rounded.
    """
    xp = namespace(s)
    of_all = (*s.shape[:-1], *(1,) * (x.ndim - s.ndim + 1), s.shape[-1])
    is_it = x[..., :, None] == xp.reshape(s, of_all)
    return xp.max(xp.where(is_it, xp.reshape(of_s, of_all), -float("inf")), axis=-1)


def _pairs(x: Array) -> tuple[Array, Array]:
    return x[..., :, None], x[..., None, :]


def step_differences(s: Array, g: Array) -> Array:
    """Return the differences of a piecewise constant h with values g: 0 within a piece."""
    (si, sj), (gi, gj) = _pairs(s), _pairs(g)
    return divide(gi - gj, si - sj)


def clip_differences(s: Array, lower: Array, upper: Array) -> Array:
    """Return the differences of ``h(x) = min(max(x, lower), upper)``, up to a constant.

    No threshold is subtracted from h, so two arguments within one piece give exactly 0 or 1.
    `lower` and `upper` have the shape (...,); ``h' = 1`` strictly between them.
    """
    xp = namespace(s)
    lower, upper = each(lower, s), each(upper, s)
    hi, hj = _pairs(xp.minimum(xp.maximum(s, lower), upper))
    si, sj = _pairs(s)
    inside = xp.astype((s > lower) & (s < upper), s.dtype)
    return divide(hi - hj, si - sj, otherwise=inside[..., :, None])


def power_differences(s: Array, q: float) -> Array:
    """Return the differences of ``h(x) = x**q`` for x >= 0 and q > 0; 0 for a pair of zeros.

    With x >= y: ``h[x, y] = x**q (1 - (y/x)**q) / (x - y)``, where ``(y/x)**q - 1`` is
    ``expm1(q log(y/x))`` and ``log(y/x) = log1p((y - x)/x)`` when y is near x.
    """
    xp = namespace(s)
    si, sj = _pairs(s)
    x, y = xp.maximum(si, sj), xp.minimum(si, sj)
    one = xp.ones_like(x)
    safe_x = xp.where(x == 0, one, x)
    safe_y = xp.where(y == 0, safe_x, y)
    near = safe_y > safe_x / 2
    log_ratio = xp.where(
        near,
        xp.log1p((safe_y - safe_x) / xp.where(near, safe_x, 4 * safe_x)),
        xp.log(safe_y / safe_x),
    )
    drop = xp.where(y == 0, one, -xp.expm1(q * log_ratio))  # 1 - (y/x)**q
    gap = (x - y) / safe_x
    tie = xp.where(x == 0, xp.zeros_like(x), q * one)  # the limit of drop / gap
    return safe_x ** (q - 1) * divide(drop, gap, otherwise=tie)
