"""Gradients and Hessian products against central differences, and what holds at kinks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from normgrad.engines import engine_of
from normgrad.matrices import as_matrix
from normgrad.norms import Norm, resolve
from normgrad.testing.autodiff import Answer, derivatives_of, to_numpy
from normgrad.testing.outcome import TELLING, Outcome
from normgrad.testing.stack import Stack

__all__ = ["GradientCheck", "check_grad"]


_SINGLE = 2.0**-23


@dataclass(frozen=True)
class GradientCheck:
    """The outcome of `check_grad`; print it.

    Parameters
    ----------
    norm : Norm
    engine : str
        Whose differentiation was checked.
    order : int
    errors : tuple of float
        For each order the relative error that is the largest beside its tolerance.
    estimates : tuple of float
        For each order the largest error that the differences themselves may have.
    tolerances : tuple of float
        For each order what that error may be: inf where that difference can not tell.
    kink : bool
        Whether the differences see that the norm is not differentiable at a matrix.
    """

    norm: Norm
    engine: str
    order: int
    errors: tuple[float, ...]
    estimates: tuple[float, ...]
    tolerances: tuple[float, ...]
    kink: bool

    @property
    def passed(self) -> bool:
        """Whether every error is within its tolerance."""
        return all(e <= t for e, t in zip(self.errors, self.tolerances, strict=True))

    @property
    def conclusive(self) -> bool:
        """Whether the differences are good enough to tell a wrong derivative, to 1 %."""
        return all(10 * e <= TELLING for e in self.estimates)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        if self.passed and not self.conclusive:
            verdict = "inconclusive: the norm bends too sharply here for differences to tell"
        lines = [f"{self.norm}, {self.engine}: {verdict}"]
        if self.kink:
            lines.append("  not differentiable here: held against the one-sided differences")
        for i, error in enumerate(self.errors):
            lines.append(
                f"  {('gradient', 'Hessian product')[i]}: relative error {error:.1e}, tolerance "
                f"{self.tolerances[i]:.1e}; the roughest difference is good to "
                f"{self.estimates[i]:.1e}"
            )
        return "\n".join(lines)


def check_grad(
    x: Any,
    ord: Any = "fro",
    order: int = 2,
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
    directions: int = 4,
    seed: int = 0,
    strict: bool = True,
) -> GradientCheck:
    r"""Check the derivatives of a norm at a matrix against central differences.

    Parameters
    ----------
    x : (..., m, n) array
        Of PyTorch or JAX: what their automatic differentiation returns is checked (reverse
        mode, then reverse over reverse or forward over reverse). Of NumPy: `grad` and `hvp`.
    ord, axis, method
        As for `matrix_norm`.
    order : {1, 2}
    directions : int
        How many random directions to try.
    seed : int
    strict : bool
        Whether to raise if the check fails.

    Returns
    -------
    GradientCheck

    Raises
    ------
    AssertionError
        If an error is greater than its tolerance, and `strict`. (Not if it is inconclusive.)
    TypeError
        If x is a matrix type or sparse, or no array at all.
    ValueError
        If x is empty or has NaN or inf, if `order` is neither 1 nor 2, or
        if `directions` is less than 1.

    Notes
    -----
    Values and gradients are differenced by NumPy in float64, as functions of x over a power of
    two: along random lines, and for unitarily invariant norms also along curves
    ``exp(hX) U diag(s(h)) V^H exp(hY)`` on which ties and zeros stay, so that there is no kink;
    for norms of entries along curves on which zero entries stay. ``Re<G, x> = d ||x||`` is always
    checked, for what has a degree d.

    In a direction with a kink, ``Re<G, E>`` must lie between the one-sided derivatives, if the
    norm is convex (`Norm.convex`). There is no check to second order in it, nor where the
    differences show that the gradient is not differentiable, as that of ``||x||^2`` at 0.

    Errors are relative, those of ``Re<G, E>`` to ``|G| |E|``, those of Hessian products to the
    product, or to ``|G| |E| / |x|`` if that is greater. Ties and zeros are those of the precision
    of x, float32 for half precision. What may pass is ten times the error that the difference
    may have and a rounding error of x makes, and the rounding of what was received. A difference
    that can not tell 1 % by that fails nothing, and makes the check inconclusive.

    Examples
    --------
    >>> import numpy as np
    >>> from normgrad.testing import check_grad
    >>> check_grad(np.diag([3.0, 2.0, 2.0, 1.0]), "nuc").passed
    True
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    if directions < 1:
        raise ValueError(f"directions must be at least 1; got {directions!r}")
    if isinstance(x, (str, Norm)) or callable(x):
        raise TypeError(
            f"x must be an array, as what is checked is a norm of it and no function of yours; got "
            f"{x!r}. The order is check_grad(x, ord)"
        )
    if as_matrix(x) is not None:
        raise TypeError(
            "the gradients that are checked are those of arrays; got a matrix type or sparse "
            f"array, {type(x).__name__}: pass x.dense(), for a sparse array x.toarray() (SciPy), "
            "x.to_dense() (PyTorch) or x.todense() (JAX)"
        )
    norm, library = resolve(ord), derivatives_of(x, ord, axis, method)
    given = to_numpy(x)
    if given.size == 0 or not np.all(np.isfinite(given)):
        raise ValueError(
            f"x, of shape {given.shape}, is empty or has NaN or inf: there is nothing to check"
        )
    G = _moved(library.gradient(), axis, (-2, -1))
    # at least float32 is computed in, and its error is larger for second order
    epsilon = min(library.epsilon, _SINGLE)
    outcomes = [Outcome(1e-10 + 100 * epsilon), Outcome(1e-8 + 1e3 * epsilon)]
    stack = Stack(norm, np.moveaxis(given, axis, (-2, -1)), epsilon, outcomes)
    rng = np.random.default_rng(seed)

    def hessian_product(E: Any) -> Answer:
        return _moved(library.hessian_product(np.moveaxis(E, (-2, -1), axis)), axis, (-2, -1))

    with np.errstate(all="ignore"):  # what is NaN or inf fails, and need not be told of twice
        stack.check_size(G)
        for _ in range(directions):
            stack.check_first(G, rng)
        for _ in range(directions if order == 2 else 0):
            stack.check_second(hessian_product, rng)
    report = GradientCheck(
        norm=norm,
        engine=engine_of(x).name,
        order=order,
        errors=tuple(outcome.error for outcome in outcomes[:order]),
        estimates=tuple(outcome.estimate for outcome in outcomes[:order]),
        tolerances=tuple(outcome.tolerance for outcome in outcomes[:order]),
        kink=any(point.kink for point in stack.points),
    )
    if strict and not report.passed:
        raise AssertionError(str(report))
    return report


def _moved(answer: Answer, source: tuple[int, int], destination: tuple[int, int]) -> Answer:
    return Answer(*(np.moveaxis(X, source, destination) for X in answer))
