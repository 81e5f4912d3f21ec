"""What a user calls: validate, choose, hand to the engine."""

from collections.abc import Callable
from typing import Any

from normgrad._argument import argument_of, norm_rule, prepared, with_direction
from normgrad._explain import Explanation, explain_rule
from normgrad.arithmetic import Array

__all__ = ["explain", "grad", "hvp", "linearize", "matrix_norm", "value_and_grad"]


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
    x : (..., m, n) array, nested lists, sparse matrix or matrix type
        NumPy, HIPS autograd, PyTorch or JAX; real, complex or integer. Never written. Sparse:
        SciPy (every format), PyTorch (COO, CSR, CSC), JAX (BCOO, BCSR); see `Sparse`.
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

    Cost: Frobenius, 1 and inf a few passes; none but one pass for a diagonal matrix; for the
    spectral and Ky Fan norms of large matrices some tens of products with vectors; for a
    low rank r a few products with r vectors; for long matrices one product and an
    eigenvalue problem of the short side; else an eigenvalue problem or an SVD. `explain`
    tells which, and why. Entries of any magnitude give full accuracy: matrices are scaled by
    powers of two, when needed.

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
    ready = None if keepdims else prepared(norm_rule, x, ord, axis, method)
    if ready is not None:
        engine, rule = ready
        return engine.value(rule, x)
    argument = argument_of(x, axis)
    rule = norm_rule(argument, ord, method)
    return argument.like_value(argument.engine.value(rule, argument.x), keepdims)


def value_and_grad(
    x: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> tuple[Array, Array]:
    r"""Return a norm and its gradient, from one factorization, with no differentiation engine.

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
        own ``grad`` return its conjugate). It has ``<G, x> = ||x||``, and dual norm at most 1;
        the former up to `rank_tol`, as singular values that count as zero are in the value and
        not in G. Integers give a gradient of the default float. NaN for a matrix with NaN or inf.

    Notes
    -----
    The gradient is differentiable once more by the library of `x`.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> value, gradient = normgrad.value_and_grad(np.array([[3.0, 0.0], [0.0, 4.0]]), "nuc")
    >>> float(value)
    7.0
    >>> gradient
    array([[1., 0.],
           [0., 1.]])
    """
    ready = prepared(norm_rule, x, ord, axis, method)
    if ready is not None:
        engine, rule = ready
        return engine.value_and_gradient(rule, x)
    argument = argument_of(x, axis)
    rule = norm_rule(argument, ord, method)
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
    r"""Return the Hessian of a norm times a direction: the derivative of the gradient.

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
    argument, E = with_direction(x, direction, axis)
    rule = norm_rule(argument, ord, method)
    return argument.like_matrix(argument.engine.hessian(rule, argument.x)(E))


def linearize(
    x: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> tuple[Array, Callable[[Any], Array]]:
    r"""Return the gradient of a norm, and its derivative as a function of a direction.

    For many Hessian-vector products at one matrix, as in Newton-CG or Lanczos' method on
    the Hessian: the matrix is factorized once for all of them and the gradient.

    Parameters
    ----------
    x, ord, axis, method
        As for `matrix_norm`.

    Returns
    -------
    gradient : array of the shape of `x`
        As from `grad`.
    product : callable
        ``product(direction)`` is ``hvp(x, direction, ord)``, four matrix products.

    Notes
    -----
    The engines' own ways do the same: in PyTorch repeated ``torch.autograd.grad(G, x, E,
    retain_graph=True)`` for one ``G = grad(x)``, in JAX `jax.linearize`.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> gradient, product = normgrad.linearize(np.eye(2), "nuc")
    >>> product(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    argument = argument_of(x, axis)
    rule = norm_rule(argument, ord, method)
    G, hessian = argument.engine.linearize(rule, argument.x)

    def product(direction: Any) -> Array:
        return argument.like_matrix(hessian(with_direction(x, direction, axis)[1]))

    return argument.like_matrix(G), product


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
    nuclear norm of a 2 x 2 float64 matrix: diagonal
      diagonal: yes, every entry off the diagonal is zero
    """
    argument = argument_of(x, axis)
    numbers = argument.engine.constant(lambda A: A, argument.x)
    return explain_rule(norm_rule(argument, ord, method), numbers)
