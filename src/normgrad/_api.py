"""What a user calls: validate, choose, hand to the engine."""

import operator
from typing import Any

import numpy as np

from normgrad._explain import Explanation, explain_rule
from normgrad.arithmetic import Array
from normgrad.calculus import (
    NormByEntries,
    NormBySingularValues,
    NormRule,
    ProxByEntries,
    ProxBySingularValues,
    ProxRule,
)
from normgrad.engines import Engine, engine_of
from normgrad.factorizations import check_method
from normgrad.norms import EntrywiseNorm, KyFan, Norm, Schatten, UnitarilyInvariantNorm, resolve

__all__ = [
    "explain",
    "frobenius_norm",
    "grad",
    "hvp",
    "ky_fan_norm",
    "matrix_norm",
    "nuclear_norm",
    "prox",
    "schatten_norm",
    "spectral_norm",
    "value_and_grad",
]

_PRECISION = {"float16": "float32", "bfloat16": "float32", "complex32": "complex64"}
"""Dtypes that are computed in another and cast back."""

_NATIVE = {"float32", "float64", "complex64", "complex128"}


class _Argument:
    """A matrix argument: whose it is, and as the rules want it, (..., m, n) and floating."""

    engine: Engine
    x: Array
    dtype: str

    def __init__(self, x: Any, axis: Any) -> None:
        self.engine = engine_of(x)
        if self.engine.name == "numpy":
            x = _as_numpy(x)
        self.axis = _two_axes(axis, x.ndim, tuple(x.shape))
        name = _dtype_name(x)
        if name in _NATIVE:
            self.dtype = name
        elif name in _PRECISION:
            self.dtype = name
            x = self.engine.astype(x, _PRECISION[name])
        elif name == "bool" or name.startswith(("int", "uint")):
            x = self.engine.astype(x, self.engine.default_float())
            self.dtype = _dtype_name(x)
        else:
            raise TypeError(
                f"a matrix norm needs real or complex numbers; got dtype {name!r}, shape "
                f"{tuple(x.shape)}. Supported: integers, float16, bfloat16, float32, float64, "
                "complex64, complex128; convert with astype"
            )
        if self.axis != (x.ndim - 2, x.ndim - 1):
            x = self.engine.moveaxis(x, self.axis, (-2, -1))
        self.x = x
        self.ndim = x.ndim

    def like_value(self, value: Array, keepdims: bool = False) -> Array:
        """Cast a number per matrix to the precision of the argument, with axes of length 1 if wanted."""
        if keepdims:
            shape = list(value.shape)
            for i in sorted(self.axis):
                shape.insert(i, 1)
            value = self.engine.reshape(value, tuple(shape))
        if self.dtype in _PRECISION:
            value = self.engine.astype(value, {"complex32": "float16"}.get(self.dtype, self.dtype))
        return value

    def like_matrix(self, G: Array) -> Array:
        """Cast a matrix to the dtype of the argument, and give it the argument's axes."""
        if self.axis != (self.ndim - 2, self.ndim - 1):
            G = self.engine.moveaxis(G, (-2, -1), self.axis)
        return self.engine.astype(G, self.dtype) if self.dtype in _PRECISION else G


def _as_numpy(x: Any) -> Any:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            "got a numpy masked array, whose masked entries have no value; fill them first: "
            "x.filled(0)"
        )
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"expected a matrix, or nested lists that make one; got lists of unequal lengths ({error})"
        ) from None


def _dtype_name(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def _two_axes(axis: Any, ndim: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return `axis` as two distinct nonnegative integers."""
    if ndim < 2:
        raise ValueError(
            f"a matrix norm needs an array with at least 2 axes; got {ndim}, shape {shape}. "
            "For the norm of a vector use the library's own vector_norm"
        )
    try:
        first, second = axis
        pair = operator.index(first), operator.index(second)
    except TypeError:
        raise TypeError(
            f"axis must be a pair of integers, the rows' and the columns' axis; got {axis!r}"
        ) from None
    except ValueError:
        raise ValueError(
            f"axis must be a pair of integers, the rows' and the columns' axis; got {axis!r}"
        ) from None
    for i in pair:
        if not -ndim <= i < ndim:
            raise np.exceptions.AxisError(
                f"axis {i} is out of bounds for an array of shape {shape}, with {ndim} axes"
            )
    row, column = pair[0] % ndim, pair[1] % ndim
    if row == column:
        raise ValueError(
            f"the rows' and the columns' axis must differ; got axis={axis!r}, both axis {row} "
            f"of an array of shape {shape}"
        )
    return row, column


def _norm_rule(argument: _Argument, ord: Any, method: str) -> NormRule:
    norm = _checked(argument, ord, method)
    if isinstance(norm, EntrywiseNorm) and method == "auto":
        return NormByEntries(norm)
    return NormBySingularValues(_by_singular_values(norm, method), method)


def _prox_rule(argument: _Argument, ord: Any, method: str) -> ProxRule:
    norm = _checked(argument, ord, method)
    if isinstance(norm, EntrywiseNorm) and method == "auto":
        return ProxByEntries(norm)
    return ProxBySingularValues(_by_singular_values(norm, method), method)


def _checked(argument: _Argument, ord: Any, method: str) -> Norm:
    check_method(method)
    norm = resolve(ord)
    m, n = argument.x.shape[-2:]
    norm.check_shape(int(m), int(n))
    return norm


def _by_singular_values(norm: Norm, method: str) -> UnitarilyInvariantNorm:
    if isinstance(norm, UnitarilyInvariantNorm):
        return norm
    raise ValueError(
        f"method={method!r} names a factorization, but {norm!r} is a norm of entries, which "
        "needs none; leave method='auto'"
    )


def matrix_norm(
    x: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: bool = False,
    method: str = "auto",
) -> Array:
    r"""Return a norm of a matrix, or of each matrix in a batch.

    Parameters
    ----------
    x : (..., m, n) array or nested lists
        NumPy, HIPS autograd, PyTorch or JAX; real, complex or integer. Never written.
    ord : {"fro", "nuc", 2, -2, 1, -1, inf, -inf} or norm object
        As in `numpy.linalg.matrix_norm`, or `Frobenius()`, `Spectral()`, `Nuclear()`,
        `Schatten(p)`, `KyFan(k)`, each with its tolerances.
    axis : pair of int
        The rows' and the columns' axis.
    keepdims : bool
        Whether to keep the two axes, with length 1.
    method : str
        The factorization, "auto" or one named by `explain`. "auto" is never less accurate
        than a full SVD by more than a small factor.

    Returns
    -------
    (...) array
        Of the library, place and precision of `x`; real. Integers give the default float;
        float16 and bfloat16 are computed in float32. An empty matrix has norm 0. A matrix
        with NaN or inf has norm NaN or inf, and does not affect the others of its batch.

    Raises
    ------
    ValueError, TypeError
        For an ord, axis, shape, dtype or method that has no meaning. The message says what
        was got and what to do.

    Notes
    -----
    Differentiable by the library of `x`, to second order; a third raises `OrderError`. The
    gradient is the subgradient of least Frobenius norm, which is the gradient where there
    is one and does not depend on a choice of singular vectors where there is none. The
    second derivative is along the matrices of the same rank and the same ties. See the
    norm objects for each norm's formula.

    Cost: Frobenius, 1 and inf one pass; the others one SVD of the matrix with singular
    values alone if no gradient is wanted, none if the matrix is seen to be diagonal.
    Entries of any magnitude give full accuracy: matrices are scaled by powers of two, when
    needed.

    References
    ----------
    G. A. Watson, Characterization of the subdifferential of some matrix norms, Linear
    Algebra Appl. 170 (1992). A. S. Lewis, The convex analysis of unitarily invariant matrix
    functions, J. Convex Anal. 2 (1995).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = np.array([[3.0, 0.0], [4.0, 5.0]])
    >>> round(float(normgrad.matrix_norm(A, "nuc")), 12) == round(4 * 5**0.5, 12)
    True
    """
    argument = _Argument(x, axis)
    rule = _norm_rule(argument, ord, method)
    return argument.like_value(argument.engine.value(rule, argument.x), keepdims)


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


def value_and_grad(
    x: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> tuple[Array, Array]:
    r"""Return a norm and its gradient, from one factorization and without automatic differentiation.

    Parameters
    ----------
    x, ord, axis, method
        As for `matrix_norm`.

    Returns
    -------
    value : (...) array
    gradient : array of the shape and dtype of `x`
        For each matrix the subgradient G of least Frobenius norm, with
        ``d||x|| = Re<G, dx>`` in every library, also for complex x (JAX's and autograd's
        own ``grad`` return its conjugate). It has ``<G, x> = ||x||``, and dual norm at most 1.
        Integers give a gradient of the default float. NaN for a matrix with NaN or inf.

    Notes
    -----
    The gradient is differentiable once more by the library of `x`.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> value, gradient = normgrad.value_and_grad(np.array([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    >>> float(value)
    7.0
    >>> gradient
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    argument = _Argument(x, axis)
    rule = _norm_rule(argument, ord, method)
    value, G = argument.engine.value_and_gradient(rule, argument.x)
    return argument.like_value(value), argument.like_matrix(G)


def grad(
    x: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> Array:
    """Return the gradient of a norm: the second result of `value_and_grad`.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.grad(np.eye(2), 2)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    return value_and_grad(x, ord, axis=axis, method=method)[1]


def hvp(
    x: Any,
    direction: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Array:
    r"""Return the product of the Hessian of a norm with a direction: the derivative of its gradient.

    Parameters
    ----------
    x, ord, axis, method
        As for `matrix_norm`.
    direction : array of the shape of `x`

    Returns
    -------
    array of the shape of `x`
        ``lim (grad(x + h direction) - grad(x)) / h``. Where the norm is not twice
        differentiable, the derivative along the matrices whose rank and tied cluster stay
        as they are; finite everywhere but where it is too large for the dtype.

    Notes
    -----
    Real-linear and self-adjoint in `direction`, for ``Re<., .>``. One SVD and four matrix
    products; Frobenius and real 1 and inf need one pass. Differentiable in `direction`.

    References
    ----------
    C. Ding, D. Sun, J. Sun, K.-C. Toh, Spectral operators of matrices, Math. Program. 168
    (2018).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.hvp(np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]]), "nuc")
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    argument = _Argument(x, axis)
    rule = _norm_rule(argument, ord, method)
    E = _direction(argument, direction, axis)
    return argument.like_matrix(argument.engine.hessian_product(rule, argument.x, E))


def _direction(argument: _Argument, direction: Any, axis: Any) -> Array:
    given = _Argument(direction, axis)
    if given.x.shape != argument.x.shape:
        raise ValueError(
            f"direction must have the shape of x, {tuple(argument.x.shape)}; "
            f"got {tuple(given.x.shape)} (matrix axes last)"
        )
    if given.engine is not argument.engine:
        raise TypeError(
            f"x is an array of {argument.engine.name}, direction one of {given.engine.name}; "
            "both must be of one library"
        )
    complex_x, complex_E = ("complex" in a.dtype for a in (argument, given))
    if complex_E and not complex_x:
        raise TypeError(
            f"direction is {given.dtype} but x is {argument.dtype}: a real matrix can only move "
            "in real directions; pass direction.real, or a complex x"
        )
    return argument.engine.astype(given.x, argument.x.dtype)


def prox(
    x: Any,
    step: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Array:
    r"""Return the proximal point ``argmin_z step ||z|| + ||z - x||_F^2 / 2`` of a norm.

    Parameters
    ----------
    x, axis, method
        As for `matrix_norm`.
    step : float or array that broadcasts to the batch
        Not negative.
    ord : {"fro", "nuc", 2} or norm object
        Frobenius: block soft thresholding. Nuclear: soft thresholding of the singular
        values. Spectral: singular values clipped at the level that takes `step` off their
        sum.

    Returns
    -------
    array of the shape and dtype of `x`

    Raises
    ------
    ValueError
        If `step` is a negative number. (In an array, a negative step gives NaN.)
    NotImplementedError
        For other norms.

    Notes
    -----
    Differentiable once, in x and in step. At the kinks (a singular value equal to the
    threshold) the derivative is that of the side on which it is removed or kept as it is.

    References
    ----------
    J.-F. Cai, E. J. Candes, Z. Shen, A singular value thresholding algorithm for matrix
    completion, SIAM J. Optim. 20 (2010).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.prox(np.diag([3.0, 1.0]), 2.0, "nuc")
    array([[1., 0.],
           [0., 0.]])
    """
    argument = _Argument(x, axis)
    rule = _prox_rule(argument, ord, method)
    if isinstance(step, (int, float)) and not step >= 0:
        raise ValueError(f"step must be a nonnegative number; got {step!r}")
    t = argument.engine.number(step, argument.x, tuple(argument.x.shape[:-2]))
    return argument.like_matrix(argument.engine.prox(rule, argument.x, t))


def explain(
    x: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> Explanation:
    """Return which factorization `matrix_norm` uses for these arguments, and why.

    Returns
    -------
    Explanation
        Printable; its fields are `norm`, `factorization`, `reason` and `considered`.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> print(normgrad.explain(np.diag([1.0, 2.0]), "nuc"))
    Nuclear(rank_tol=None) of a 2 x 2 float64 matrix: diagonal
      diagonal: yes, every entry off the diagonal is zero
    """
    argument = _Argument(x, axis)
    return explain_rule(_norm_rule(argument, ord, method), argument.x)
