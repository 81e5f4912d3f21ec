"""Gradients and Hessian products against central differences, and what holds at kinks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from normgrad.engines import engine_of
from normgrad.matrices import as_matrix
from normgrad.norms import Norm, resolve
from normgrad.testing.autodiff import derivatives_of, to_numpy
from normgrad.testing.stack import Stack

__all__ = ["GradientCheck", "check_grad"]


_SINGLE = 2.0**-23
_TELLING = 1e-2


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
        For each order the worst relative error.
    estimates : tuple of float
        For each order the error that the differences themselves may have.
    tolerances : tuple of float
        For each order the largest error that passes.
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
        return all(10 * e <= _TELLING for e in self.estimates)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        if self.passed and not self.conclusive:
            verdict = "inconclusive: the norm bends too sharply here for differences to tell"
        lines = [f"{self.norm}, {self.engine}: {verdict}"]
        if self.kink:
            lines.append("  not differentiable here: held against the one-sided differences")
        for i, error in enumerate(self.errors):
            lines.append(
                f"  {('gradient', 'Hessian product')[i]}: relative error {error:.1e} (differences "
                f"good to {self.estimates[i]:.1e}, tolerance {self.tolerances[i]:.1e})"
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
        If an error is greater than its tolerance, and `strict`.
    TypeError
        If x is a matrix type or sparse.
    ValueError
        If x is empty or has NaN or inf, if `order` is neither 1 nor 2, or
        if `directions` is less than 1.

    Notes
    -----
    Values and gradients are differenced by NumPy in float64, at x scaled by a power of two:
    along random lines, and for unitarily invariant norms also along random curves
    ``exp(hX) U diag(s(h)) V^H exp(hY)`` on which ties and zeros stay, so that there is no kink.
    In a direction with a kink, ``Re<G, E>`` must lie between the one-sided derivatives.
    Norms of entries are not checked to second order where they have one.
    ``Re<G, x> = ||x||`` is always checked, for a square ``2 ||x||^2`` in place of the norm.
    What is not homogeneous is differenced at the scale of x.

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
    G = library.gradient()
    stack, rng = Stack(norm, np.moveaxis(given, axis, (-2, -1))), np.random.default_rng(seed)

    def hessian_product(E: Any) -> Any:
        dG = library.hessian_product(np.moveaxis(E, (-2, -1), axis))
        return np.moveaxis(dG, axis, (-2, -1))

    for _ in range(directions):
        stack.check_first(np.moveaxis(G, axis, (-2, -1)), rng)
    for _ in range(directions if order == 2 else 0):
        stack.check_second(hessian_product, rng)
    estimates = tuple(stack.estimates[:order])
    # beside the differences' own error: that of a computation in at least float32, larger for
    # second order, and the rounding of the result
    computed = min(library.epsilon, _SINGLE)
    floors = tuple(b + f * computed + 4 * library.epsilon for b, f in ((1e-10, 100), (1e-8, 1e3)))
    report = GradientCheck(
        norm=norm,
        engine=engine_of(x).name,
        order=order,
        errors=tuple(stack.errors[:order]),
        estimates=estimates,
        tolerances=tuple(10 * e + f for e, f in zip(estimates, floors, strict=False)),
        kink=bool(stack.kinks.any()),
    )
    if strict and not report.passed:
        raise AssertionError(str(report))
    return report
