"""Functions of singular values that are no norms: smoothed, or a user's own."""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakValueDictionary

from normgrad.arithmetic import Array, divide, machine_epsilon, namespace
from normgrad.norms.base import Curvature, Proximal, UnitarilyInvariantNorm, set_number
from normgrad.norms.differences import clip_differences, each

__all__ = ["HuberNuclear", "SpectralFunction"]


@final
@dataclass(frozen=True)
class HuberNuclear(UnitarilyInvariantNorm):
    r"""The nuclear norm smoothed by Huber's function of each singular value.

    ``sum f(s_i)`` with ``f(s) = s^2 / (2 mu)`` up to mu, and ``s - mu/2`` beyond: the Moreau
    envelope of the nuclear norm. At most ``k mu / 2`` below it, for k singular values.

    Parameters
    ----------
    mu : float
        Positive; in the units of the matrix.

    Notes
    -----
    Differentiable everywhere, with ``G = U diag(min(s/mu, 1)) V^H``, which has the Lipschitz
    constant 1/mu: at 0 it is ``A / mu``. The second derivative has a jump at ``s_i = mu``, where
    that of the side beyond is taken. `prox` knows its proximal map: singular values up to
    ``mu + t`` are multiplied by ``mu / (mu + t)``, others lose t.

    References
    ----------
    Y. Nesterov, Smooth minimization of non-smooth functions, Math. Program. 103 (2005).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> value, gradient = normgrad.value_and_grad(np.diag([3.0, 0.5]), normgrad.HuberNuclear(1.0))
    >>> float(value), np.diag(gradient).tolist()
    (2.625, [1.0, 0.5])
    """

    mu: float
    degree = None

    def __post_init__(self) -> None:
        set_number(self, "mu")
        if not 0 < self.mu < math.inf:
            raise ValueError(f"HuberNuclear mu must be positive and finite; got {self.mu!r}")
        super().__post_init__()

    def __str__(self) -> str:
        return f"nuclear norm smoothed below {self.mu:g}"

    def value(self, s: Array) -> Array:
        xp = namespace(s)
        return xp.sum(xp.where(s < self.mu, s * (s / self.mu) / 2, s - self.mu / 2), axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        return namespace(s).where(s < self.mu, s / self.mu, 1.0)

    def curvature(self, s: Array, tie: float) -> Curvature:
        xp = namespace(s)
        none = xp.zeros_like(s)
        lower, upper = (xp.full_like(s[..., 0], end) for end in (-math.inf, self.mu))
        return Curvature(
            self.slope(s, tie),
            xp.astype(s < self.mu, s.dtype) / self.mu,
            lambda x, g: clip_differences(x, lower, upper) / self.mu,
            none[..., None, :],
            none[..., :1],
        )

    def proximal(self, s: Array, step: Array) -> Proximal:
        # g = s - t min(s / (mu + t), 1); at the kink the derivative of the side beyond
        xp, t = namespace(s), step[..., None]
        edge = self.mu + t
        below = xp.astype(s < edge, s.dtype)
        lower, none = xp.full_like(step, -math.inf), xp.zeros_like(s)
        curvature = Curvature(
            xp.where(s < edge, s * (self.mu / edge), s - t),
            1 - below * (1 - self.mu / edge),
            lambda x, g: (
                1
                - clip_differences(x, lower, edge[..., 0])
                * each(1 - self.mu / edge[..., 0], x)[..., None]
            ),
            none[..., None, :],
            none[..., :1],
        )
        return Proximal(curvature, -xp.where(s < edge, s / edge * (self.mu / edge), 1.0))


_KNOWN: WeakValueDictionary[int, "SpectralFunction"] = WeakValueDictionary()
"""The functions that compiled graphs name, by their keys."""

_new_key = itertools.count().__next__


@final
@dataclass(frozen=True)
class SpectralFunction(UnitarilyInvariantNorm):
    r"""A function of one's own, ``F(A) = sum_i f(s_i)``, for a place that takes an `ord`.

    Parameters
    ----------
    f, df, d2f : callable
        f and its first two derivatives, entrywise for arrays of nonnegative numbers of the
        library in use; write them with operators, or with the library's functions. Without d2f
        there is no second derivative. The gradient is that in the matrix alone: PyTorch tensors
        that they close over must not require one, else TypeError.

    Notes
    -----
    Gradient ``U diag(f'(s)) V^H``; its derivative is that of every lift, by divided differences
    of f'. Differentiable where all singular values are positive, and at rank-deficient matrices
    if ``f'(0) = 0``. Else the slope of a zero singular value is 0, which for a convex f is the
    subgradient of least norm, and the second derivative is along the matrices of the same rank.
    Singular values up to ``8 sqrt(max(m, n)) eps`` of the largest count as 0.

    Divided differences of f' for arguments that agree to about eps^(1/5) are taken from d2f,
    with an error of order eps for smooth f; others are quotients.

    With ``torch.compile(fullgraph=True)``, make it outside of the compiled function.

    For functions that are no sums, write a class of `normgrad.norms.UnitarilyInvariantNorm`.

    References
    ----------
    A. S. Lewis, The convex analysis of unitarily invariant matrix functions, J. Convex Anal. 2
    (1995).

    Examples
    --------
    The logarithm of ``det(I + A^H A)``:

    >>> import numpy as np, normgrad
    >>> logdet = normgrad.SpectralFunction(
    ...     f=lambda s: np.log1p(s * s),
    ...     df=lambda s: 2 * s / (1 + s * s),
    ...     d2f=lambda s: 2 * (1 - s * s) / (1 + s * s) ** 2,
    ... )
    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> B = np.eye(2) + A.T @ A
    >>> bool(np.isclose(normgrad.matrix_norm(A, logdet), np.log(np.linalg.det(B))))
    True
    >>> np.allclose(normgrad.grad(A, logdet), 2 * A @ np.linalg.inv(B))
    True
    """

    f: Callable[[Array], Array]
    df: Callable[[Array], Array]
    d2f: Callable[[Array], Array] | None = None
    degree = None
    convex = False  # (not known)

    def __post_init__(self) -> None:
        for field in ("f", "df", "d2f"):
            given: Any = getattr(self, field)
            if not (callable(given) or (field == "d2f" and given is None)):
                raise TypeError(f"SpectralFunction {field} must be callable; got {given!r}")
        # (torch.compile can read a key, and cannot make one)
        key = _new_key()
        object.__setattr__(self, "_key", key)
        _KNOWN[key] = self

    @property
    def any_library(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"function {getattr(self.f, '__name__', 'f')} of singular values"

    def name(self) -> str:
        return f"{type(self).__module__}:{type(self).__name__}.known({self._key})"  # type: ignore[attr-defined]

    @classmethod
    def known(cls, key: int) -> "SpectralFunction":
        """Return the function that was given this key when it was made."""
        try:
            return _KNOWN[key]
        except KeyError:
            raise RuntimeError(
                "a compiled function calls a SpectralFunction that is no more; keep a reference "
                "to it for as long as the compiled function is used"
            ) from None

    def __reduce__(self) -> Any:
        return type(self), (self.f, self.df, self.d2f)  # (a key holds in this process alone)

    def _entrywise(self, field: str, s: Array) -> Array:
        """Return f, df or d2f at the entries of s; a number of Python's stands for a constant."""
        result = getattr(self, field)(s)
        if type(result) in (int, float):  # (one of NumPy's may be a maximum or a sum)
            return namespace(s).full_like(s, result)
        if getattr(result, "shape", None) != s.shape:
            got = f"shape {tuple(result.shape)}" if hasattr(result, "shape") else repr(result)
            raise ValueError(
                f"SpectralFunction {field} must work entrywise, without sums; for an array of "
                f"shape {tuple(s.shape)} it returned {got}. A constant is a number of "
                "Python's, as 2.0, or 2.0 + 0 * s; what is no sum of a function of each singular "
                "value is a class of normgrad.norms.UnitarilyInvariantNorm"
            )
        return result

    def value(self, s: Array) -> Array:
        return namespace(s).sum(self._entrywise("f", s), axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        return namespace(s).where(s > 0, self._entrywise("df", s), 0.0)

    def curvature(self, s: Array, tie: float) -> Curvature:
        if self.d2f is None:
            raise NotImplementedError(
                f"a second derivative of the {self} needs SpectralFunction(f, df, d2f) "
                "(and to check the first alone, order=1)"
            )
        df, d2f = (functools.partial(self._entrywise, field) for field in ("df", "d2f"))
        xp = namespace(s)
        g, zero = self.slope(s, tie), xp.zeros_like(s)
        # at 0: along the matrices of the same rank, unless f is smooth there
        smooth = ((df(zero) == 0) & xp.isfinite(d2f(zero)))[..., 0]
        slope = xp.where((s > 0) | each(smooth, s), d2f(s), 0.0)

        def differences(s: Array, g: Array) -> Array:
            slope = xp.where((s > 0) | each(smooth, s), d2f(s), 0.0)
            return _gauss_differences(d2f, s, g, slope)

        return Curvature(g, slope, differences, zero[..., None, :], zero[..., :1])


def _gauss_differences(d2f: Callable[[Array], Array], s: Array, g: Array, slope: Array) -> Array:
    """Return the divided differences of h with the values g and the derivative d2f."""
    xp = namespace(s)
    x, y = s[..., :, None], s[..., None, :]
    # h[x, y] is the mean of h' between y and x, for near ones by Gauss's formula
    middle, half = (x + y) / 2, (x - y) / 2 / 3**0.5
    near = (d2f(middle + half) + d2f(middle - half)) / 2
    quotient = divide(g[..., :, None] - g[..., None, :], x - y)
    close = xp.abs(x - y) <= machine_epsilon(s) ** 0.2 * xp.minimum(x, y)
    differences = xp.where(close & (x > 0), near, quotient)
    return xp.where(x == y, slope[..., None] + 0 * y, differences)
