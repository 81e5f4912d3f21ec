"""The norms by name."""

from typing import Any

from normgrad._api import matrix_norm
from normgrad.arithmetic import Array
from normgrad.norms import KyFan, Schatten

__all__ = ["frobenius_norm", "ky_fan_norm", "nuclear_norm", "schatten_norm", "spectral_norm"]


def frobenius_norm(
    x: Any, *, axis: tuple[int, int] = (-2, -1), keepdims: bool = False, method: str = "auto"
) -> Array:
    """Return the Frobenius norm, ``(sum |x_ij|^2)^(1/2)``; see `matrix_norm` and `Frobenius`.

    Examples
    --------
    >>> import normgrad
    >>> float(normgrad.frobenius_norm([[3, 0], [0, 4]]))
    5.0
    """
    return matrix_norm(x, "fro", axis=axis, keepdims=keepdims, method=method)


def spectral_norm(
    x: Any, *, axis: tuple[int, int] = (-2, -1), keepdims: bool = False, method: str = "auto"
) -> Array:
    """Return the largest singular value; see `matrix_norm` and `Spectral`.

    Examples
    --------
    >>> import normgrad
    >>> float(normgrad.spectral_norm([[3, 0], [0, 4]]))
    4.0
    """
    return matrix_norm(x, 2, axis=axis, keepdims=keepdims, method=method)


def nuclear_norm(
    x: Any, *, axis: tuple[int, int] = (-2, -1), keepdims: bool = False, method: str = "auto"
) -> Array:
    """Return the sum of the singular values; see `matrix_norm` and `Nuclear`.

    Examples
    --------
    >>> import normgrad
    >>> float(normgrad.nuclear_norm([[3, 0], [0, 4]]))
    7.0
    """
    return matrix_norm(x, "nuc", axis=axis, keepdims=keepdims, method=method)


def schatten_norm(
    x: Any,
    p: float,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: bool = False,
    method: str = "auto",
) -> Array:
    """Return ``(sum s_i^p)^(1/p)`` over the singular values; see `matrix_norm` and `Schatten`.

    Examples
    --------
    >>> import normgrad
    >>> round(float(normgrad.schatten_norm([[3, 0, 0], [0, 4, 0], [0, 0, 5]], 3)), 12)
    6.0
    """
    return matrix_norm(x, Schatten(p), axis=axis, keepdims=keepdims, method=method)


def ky_fan_norm(
    x: Any,
    k: int,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: bool = False,
    method: str = "auto",
) -> Array:
    """Return the sum of the k largest singular values; see `matrix_norm` and `KyFan`.

    Examples
    --------
    >>> import normgrad
    >>> float(normgrad.ky_fan_norm([[3, 0, 0], [0, 4, 0], [0, 0, 5]], 2))
    9.0
    """
    return matrix_norm(x, KyFan(k), axis=axis, keepdims=keepdims, method=method)
