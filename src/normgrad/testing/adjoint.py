"""A randomized test that two functions are adjoint to each other."""

from typing import Any

import numpy as np

from normgrad.arithmetic import Array, conj, gaussian, machine_epsilon, namespace
from normgrad.matrices import as_matrix

__all__ = ["check_adjoint"]


def check_adjoint(operator: Any, trials: int = 4, *, tol: float | None = None) -> float:
    r"""Check that the products of a matrix with vectors and those with its adjoint fit together.

    Parameters
    ----------
    operator : Operator, another matrix type, or SciPy LinearOperator
        Not a batch.
    trials : int
        How many pairs of random vectors to try.
    tol : float, optional
        By default ``100 sqrt(max(m, n))`` units of rounding of the dtype.

    Returns
    -------
    float
        The largest of ``|<A v, u> - <v, A^H u>| / (|A v| |u| + |v| |A^H u|)``.

    Raises
    ------
    AssertionError
        If that exceeds `tol`. So it does for a `matvec` that is not linear.
    TypeError
        If it is no matrix type.

    Notes
    -----
    If A^H is wrong by D, one trial misses it with probability zero, and
    ``<D v, u>`` has the size of the Frobenius norm of D.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> from normgrad.testing import check_adjoint
    >>> W = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> A = normgrad.Operator(lambda v: W @ v, (2, 2), rmatvec=lambda u: W.T @ u)
    >>> check_adjoint(A) < 1e-14
    True
    """
    A = as_matrix(operator)
    if A is None or len(A.shape) != 2:
        kind = f"{type(operator).__module__}.{type(operator).__qualname__}"
        raise TypeError(
            "check_adjoint takes one matrix: an Operator, another matrix type, a LinearOperator; "
            f"got {kind} of shape {getattr(operator, 'shape', '?')}"
        )
    if trials < 1:
        raise ValueError(f"trials must be at least 1; got {trials!r}")
    m, n = A.shape
    allowed = 100 * max(m, n) ** 0.5 * machine_epsilon(A.model) if tol is None else tol
    worst = 0.0
    for trial in range(trials):
        v, u = gaussian((n, 1), A.model, 4 * trial), gaussian((m, 1), A.model, 4 * trial + 2)
        Av, Au = A.matmat(v), A.rmatmat(u)
        first, second = _inner(Av, u), _inner(v, Au)
        scale = _size(Av) * _size(u) + _size(v) * _size(Au)
        error = abs(first - second) / scale if scale else abs(first - second)
        worst = worst if error <= worst else error  # (a NaN counts)
        if not error <= allowed:
            raise AssertionError(
                f"matvec and rmatvec are not adjoint to each other: <A v, u> = {first:.6g} but "
                f"<v, A^H u> = {second:.6g} for random u and v, off by {error:.1e} of "
                f"|A v| |u| + |v| |A^H u|; allowed is {allowed:.1e}. rmatvec must be the conjugate "
                "transpose of matvec, and both linear"
            )
    return worst


def _inner(a: Array, b: Array) -> Any:
    """Return ``<a, b>``, as a Python number."""
    return namespace(a).sum(conj(a) * b).item()


def _size(a: Array) -> float:
    return float(np.sqrt(_inner(a, a).real))
