"""Matrices scaled to entries near 1 and cleared of NaN and inf, and the way back."""

from typing import NamedTuple

from normgrad.arithmetic import (
    Array,
    exponent,
    largest,
    namespace,
    safe_exponent,
    seen,
    shift,
    sometimes,
    within_safe_range,
)

__all__ = ["Normalised", "cleared", "lead", "normalise", "restore"]


class Normalised(NamedTuple):
    """``A = matrix * 2**exponent``, matrix by matrix; those with NaN or inf are replaced by 0.

    `exponent` is None if it is 0 for all, `size` (the largest entry) None if all are finite.
    """

    matrix: Array | None
    exponent: Array | None
    size: Array | None

    def restored(self, s: Array) -> Array:
        """Return singular values of `matrix` as those of A."""
        return s if self.exponent is None else shift(s, self.exponent)

    def value(self, value: Array, degree: int = 1) -> Array:
        """Return what has a degree in A, as a norm has 1; inf or NaN where A has such an entry."""
        if self.exponent is not None and degree:
            value = shift(value, degree * self.exponent)
        if self.size is None:
            return value
        xp = namespace(value)
        return xp.where(xp.isfinite(self.size), value, self.size)

    def without_matrix(self) -> "Normalised":
        """Return this for a place that needs the scale alone, and should not keep the matrix."""
        return self._replace(matrix=None)

    def with_step(self, t: Array, degree: int | None = 1) -> tuple["Normalised", Array]:
        """Return this, and a proximal step, or a radius, for the scaled matrix.

        The `degree` is that of the norm. The proximal point has degree 1 if the step has degree
        ``2 - degree``. A step that is negative or NaN makes all results for its matrix NaN.
        """
        xp = namespace(t)
        valid = t >= 0
        size = self.size
        if not seen(xp.all(valid)):
            size = xp.where(valid, xp.zeros_like(t) if size is None else size, float("nan"))
            t = xp.where(valid, t, 0.0)
        if degree != 1:  # (2 is the other; None has no scale)
            return self._replace(size=size), t
        t = t if self.exponent is None else shift(t, -self.exponent)
        # beyond any norm the result is 0 for every step: a finite one spares inf - inf
        return self._replace(size=size), xp.minimum(t, xp.full_like(t, 4.0 ** safe_exponent(t)))


def restore(X: Array, *factors: tuple[Normalised, int]) -> Array:
    """Return a result for scaled matrices as it is for those given.

    Each factor is a matrix on which the result depends, and its degree in it.
    The scales are applied as one, so that nothing is rounded in between. The result is NaN
    for a matrix that has an entry which is not finite.
    """
    xp = namespace(X)
    exponents = [d * lead(f.exponent, X) for f, d in factors if d and f.exponent is not None]
    if exponents:
        X = shift(X, sum(exponents[1:], start=exponents[0]))
    for f, _ in factors:
        if f.size is not None:
            finite = xp.isfinite(lead(f.size, X))
            X = xp.where(finite[..., None, None], X, float("nan"))
    return X


def lead(per_matrix: Array, X: Array) -> Array:
    """Give one number per matrix of A the batch axes of X, which may have more in front."""
    missing = X.ndim - 2 - per_matrix.ndim
    return namespace(X).reshape(per_matrix, (1,) * missing + tuple(per_matrix.shape))


def normalise(A: Array) -> Normalised:
    """Scale each matrix by a power of two, if it needs it."""
    xp = namespace(A)
    size = largest(A)
    if seen(xp.all(within_safe_range(size))):
        return Normalised(A, None, None)
    e, clean = exponent(size), _cleared(A, size)
    return clean._replace(
        matrix=sometimes(e != 0, lambda A: shift(A, -e), clean.matrix),
        exponent=None if seen(xp.any(e != 0)) is False else e,
    )


def cleared(A: Array) -> Normalised:
    """Return each matrix as it is, but for those with NaN and inf."""
    return _cleared(A, largest(A))


def _cleared(A: Array, size: Array) -> Normalised:
    xp = namespace(A)
    finite = xp.isfinite(size)
    if seen(xp.all(finite)):
        return Normalised(A, None, None)
    return Normalised(xp.where(finite[..., None, None], A, xp.zeros_like(A)), None, size)
