"""What users of other libraries suffer from, as measured: it fails there, it must not here.

Value, gradient and Hessian product are held against exact answers, in every engine.
"""

import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.known_failures.exact import (
    BY,
    FOUR_U,
    FOUR_V,
    PRODUCT_TOLERANCE,
    Case,
    Derivatives,
    check,
    close,
    direction,
    every_engine,
    frobenius_at_zero,
    frobenius_batch,
    frobenius_scaled,
    nuclear,
    nuclear_identity,
    nuclear_low_rank,
    nuclear_near_tie,
    nuclear_of_four,
    spectral,
    spectral_diagonal,
    spectral_empty,
    spectral_identity,
    spectral_orthogonal,
    spectral_tied_top,
    spectral_tiny,
)

# --- the cases measured ---


@every_engine
def test_frobenius_at_zero(engine):
    found = BY[engine]("fro", np.zeros((3, 3)), direction((3, 3)))
    for answer in found:
        assert not np.any(answer)  # not NaN either


@every_engine
@pytest.mark.parametrize("scale", [1e-200, 1e-310, 1e200])
def test_frobenius_of_extreme_entries(engine, scale):
    check(engine, frobenius_scaled(scale))


@every_engine
def test_frobenius_of_a_batch_with_a_zero_matrix(engine):
    check(engine, frobenius_batch())


@every_engine
def test_spectral_at_all(engine):
    check(engine, spectral())


@every_engine
def test_spectral_of_entries_1e_minus_310(engine):
    check(engine, spectral_tiny())


@every_engine
def test_spectral_of_the_identity(engine):
    check(engine, spectral_identity())


@every_engine
def test_spectral_of_an_orthogonal_matrix(engine):
    check(engine, spectral_orthogonal())


@every_engine
def test_spectral_with_a_tied_top(engine):
    check(engine, spectral_tied_top())


@every_engine
def test_spectral_of_diag_3_2_2_1(engine):
    check(engine, spectral_diagonal())


@every_engine
def test_nuclear_of_diag_3_2_2_1(engine):
    check(engine, nuclear_of_four(np.eye(4), (3, 2, 2, 1), np.eye(4)))


@every_engine
@pytest.mark.parametrize("norm", [2, "nuc", "fro"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_matrix(engine, norm, shape):
    empty = np.zeros(shape)
    check(engine, Case(norm, empty, 0.0, empty, empty, empty))


@every_engine
def test_nuclear_of_rank_2_of_6_x_5(engine):
    check(engine, nuclear_low_rank())


@every_engine
def test_nuclear_of_5_1_1(engine):
    check(engine, nuclear((5, 1, 1)))


@every_engine
def test_nuclear_of_3_3_1(engine):
    check(engine, nuclear((3, 3, 1)))


@every_engine
def test_nuclear_near_a_tie(engine):
    check(engine, nuclear_near_tie())


@every_engine
def test_nuclear_of_the_identity(engine):
    check(engine, nuclear_identity())


@every_engine
def test_nuclear_of_an_orthogonal_matrix(engine):
    check(engine, nuclear_of_four(FOUR_U, (1,) * 4, FOUR_V))


@every_engine
@pytest.mark.parametrize("norm", ["nuc", 2])
@pytest.mark.parametrize("scale", [1e160, 1e-160])
def test_nuclear_and_spectral_of_extreme_entries(engine, norm, scale):
    make = nuclear if norm == "nuc" else spectral
    check(engine, make((3, 2, 1), scale=scale))


TIED = {
    "spectral tied top": spectral_tied_top,
    "spectral orthogonal": spectral_orthogonal,
    "nuclear rank 2": nuclear_low_rank,
    "nuclear 3 3 1": lambda **how: nuclear((3, 3, 1), **how),
    "nuclear near tie": nuclear_near_tie,
}


@every_engine
@pytest.mark.parametrize("name", ["spectral tied top", "nuclear rank 2", "nuclear 3 3 1"])
def test_ties_of_complex_matrices(engine, name):
    check(engine, TIED[name](is_complex=True))


@pytest.mark.parametrize("name", TIED)
def test_identities_that_hold_whatever_the_ties(name):
    """Rotating a matrix rotates its gradient; that has degree 0; the Hessian is symmetric."""
    case = TIED[name](is_complex=True)
    (m, n), rng = case.A.shape, np.random.default_rng(3)
    X, Y = (rng.integers(-4, 5, (2, d, d)) / 4 for d in (m, n))
    X, Y = (Z - Z.conj().T for Z in (X[0] + 1j * X[1], Y[0] + 1j * Y[1]))

    def hvp(E: Any) -> Any:
        return normgrad.hvp(case.A, E, case.norm)

    turned = X @ case.gradient + case.gradient @ Y
    assert close(hvp(X @ case.A + case.A @ Y), turned, PRODUCT_TOLERANCE)
    assert np.max(np.abs(hvp(case.A))) <= PRODUCT_TOLERANCE
    E, F = (rng.integers(-4, 5, (2, m, n)) + 1j * rng.integers(-4, 5, (2, m, n))) / 4
    assert abs(np.vdot(F, hvp(E)).real - np.vdot(E, hvp(F)).real) <= PRODUCT_TOLERANCE


# --- that the libraries' own norms fail there ---

MEASURED = {"torch": "2.13.0", "jax": "0.10.2", "autograd": "1.9.1"}
OWN: dict[str, Any] = {
    "torch": lambda x, norm: torch.linalg.matrix_norm(x, norm),
    "jax": lambda x, norm: jnp.linalg.norm(x, norm, axis=(-2, -1)),
    "autograd": lambda x, norm: anp.linalg.norm(x, norm, axis=(1, 2) if x.ndim == 3 else None),
}
ALL = "torch jax autograd"
PEERS: dict[str, tuple[Callable[[], Case], str, str]] = {
    # the case, the libraries whose gradient fails, and those whose Hessian product fails
    "frobenius at 0": (frobenius_at_zero, "jax autograd", ALL),
    "frobenius 1e-200": (lambda: frobenius_scaled(1e-200), ALL, ALL),
    "frobenius 1e-310": (lambda: frobenius_scaled(1e-310), ALL, ALL),
    "frobenius 1e200": (lambda: frobenius_scaled(1e200), ALL, ALL),
    "frobenius batch": (frobenius_batch, "jax autograd", ALL),
    "spectral at all": (spectral, "autograd", "autograd"),
    "spectral 1e-310": (spectral_tiny, "jax autograd", ALL),
    "spectral identity": (spectral_identity, "autograd", ALL),
    "spectral 0 x 3": (spectral_empty, "torch autograd", "torch autograd"),
    "spectral tied top": (spectral_tied_top, ALL, ALL),
    "spectral 3 2 2 1": (spectral_diagonal, "autograd", ALL),
    "nuclear rank 2": (nuclear_low_rank, ALL, ALL),
    "nuclear 5 1 1": (lambda: nuclear((5, 1, 1)), "", ALL),
    "nuclear 3 3 1": (lambda: nuclear((3, 3, 1)), "", ALL),
    "nuclear near tie": (nuclear_near_tie, "", ALL),
    "nuclear identity": (nuclear_identity, "", ALL),
    "nuclear 1e160": (lambda: nuclear((3, 2, 1), scale=1e160), "", ALL),
    "nuclear 1e-160": (lambda: nuclear((3, 2, 1), scale=1e-160), "", ALL),
}


def _own_failures(library: str, case: Case) -> set[str]:
    """Return which answers of the library's own norm are off by more than 1e-8."""
    names = {"gradient", "product"}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = BY[library](case.norm, case.A, case.E, OWN[library])
        except (NotImplementedError, RuntimeError):
            return names
    return {n for n in names if not close(getattr(found, n), getattr(case, n), 1e-8)}


@pytest.mark.parametrize("library", MEASURED)
@pytest.mark.parametrize("row", PEERS)
def test_the_library_itself_fails(library, row):
    """It documents what this library is for, and is skipped for versions not measured."""
    if not importlib.metadata.version(library).startswith(MEASURED[library]):
        pytest.skip(f"measured with {library} {MEASURED[library]}")
    make, first, second = PEERS[row]
    failures = _own_failures(library, make())
    assert "gradient" in failures or library not in first
    assert "product" in failures or library not in second


# --- the same cases by other ways to the derivatives ---


def _by_torch_func(norm: Any, A: Any, E: Any) -> Derivatives:
    def f(x: Any) -> Any:
        return normgrad.matrix_norm(x, norm).sum()

    x = torch.tensor(A)
    gradient, product = torch.func.jvp(torch.func.grad(f), (x,), (torch.tensor(E),))
    value = normgrad.matrix_norm(x, norm)
    return Derivatives(value.numpy(), gradient.numpy(), product.numpy())


def _by_compiled_jax(norm: Any, A: Any, E: Any) -> Derivatives:
    @jax.jit
    def answers(x: Any, e: Any) -> Any:
        gradient = jax.grad(lambda x: jnp.sum(normgrad.matrix_norm(x, norm)))
        return normgrad.matrix_norm(x, norm), *jax.jvp(gradient, (x,), (e,))

    return Derivatives(*map(np.asarray, answers(A, E)))


def _by_forward_autograd(norm: Any, A: Any, E: Any) -> Derivatives:
    gradient = autograd.grad(lambda x: anp.sum(normgrad.matrix_norm(x, norm)))
    return Derivatives(normgrad.matrix_norm(A, norm), *autograd.make_jvp(gradient)(A)(E))


BY |= {
    "torch.func": _by_torch_func,
    "jax.jit": _by_compiled_jax,
    "autograd forward": _by_forward_autograd,
}


@pytest.mark.parametrize("engine", ["torch.func", "jax.jit", "autograd forward"])
@pytest.mark.parametrize("row", PEERS)
def test_by_other_ways(engine, row):
    check(engine, PEERS[row][0]())
