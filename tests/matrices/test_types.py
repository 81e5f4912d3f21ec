"""Every matrix type x norm x engine: as for the array it stands for, in its parameters."""

from typing import Any

import numpy as np
import pytest

import normgrad
from normgrad.norms import SmallestSingularValue, resolve
from tests.matrices.cases import CASES, Case
from tests.matrices.engines import ENGINES

NORMS = ["fro", "nuc", 2, -2, 1, float("inf"), normgrad.Schatten(3), normgrad.Schatten(1.5)]
NORMS += [normgrad.KyFan(2)]
FEW = ["nuc"]
"""For the engine that compiles each of them; the rules are the same for all engines."""

table = pytest.mark.parametrize(
    ("engine", "ord", "case"),
    [
        pytest.param(engine, ord, case, id=f"{engine}-{ord}-{case.name}")
        for engine in ENGINES
        for ord in (FEW if engine == "jax" else NORMS)
        for case in CASES
        if case.direct or engine != "numpy"
    ],
)


def _tangent(case: Case) -> tuple[Any, ...]:
    """Return a direction; that of a Hermitian matrix is Hermitian."""
    E = case.direction()
    if isinstance(case.make(*case.parameters), normgrad.Hermitian | normgrad.PSD):
        E = tuple((e + e.conj().T) / 2 for e in E)
    return E


@table
def test_first_order(engine: str, ord: Any, case: Case) -> None:
    """Value and gradient are those of the array, pulled back to the parameters."""
    A = case.dense(*case.parameters)
    value, G = normgrad.value_and_grad(A, ord)
    expected = case.adjoint(G)
    received, gradient = ENGINES[engine].value_and_gradient(case, ord)
    assert float(received) == pytest.approx(float(value), rel=1e-13, abs=1e-14)
    for g, e, p in zip(gradient, expected, case.parameters, strict=True):
        assert g.dtype == p.dtype
        np.testing.assert_allclose(g, e, atol=1e-12)


@table
def test_second_order(engine: str, ord: Any, case: Case) -> None:
    """The Hessian of the array, pulled back, and the change of the embedding."""
    A, E = case.dense(*case.parameters), _tangent(case)
    G = normgrad.grad(A, ord)
    if not _has_second_order(case, ord):
        with pytest.raises(NotImplementedError, match="Kronecker"):
            ENGINES[engine].hessian_product(case, E, ord)
        return
    expected = case.adjoint(normgrad.hvp(A, case.differential(E), ord))
    # the adjoint is affine in the parameters, so that one difference is exact
    moved = case.at(tuple(p + e for p, e in zip(case.parameters, E, strict=True)))
    change = [b - a for a, b in zip(case.adjoint(G), moved.adjoint(G), strict=True)]
    received = ENGINES[engine].hessian_product(case, E, ord)
    for r, e, c in zip(received, expected, change, strict=True):
        np.testing.assert_allclose(r, e + c, atol=2e-11)


def _has_second_order(case: Case, ord: Any) -> bool:
    products = ("fro", "nuc", 2, normgrad.Schatten(3), normgrad.Schatten(1.5))
    A = case.make(*case.parameters)
    singular = isinstance(resolve(ord), SmallestSingularValue) and A.rank_bound < min(A.shape)
    entrywise = ord in (1, float("inf"))
    return not isinstance(A, normgrad.Kronecker) or ord in products or singular or entrywise
