"""NaN and inf stay where they are; wrong arguments get an error that says what to do."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import torch

import normgrad
from normgrad.norms import ALIASES
from tests.differentiators import DIFFERENTIATORS

ORDS = [*ALIASES, normgrad.Schatten(3), normgrad.KyFan(2)]
A = np.arange(12.0).reshape(3, 4) - 5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, math.inf, normgrad.Schatten(3)], ids=str)
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
def test_nan_and_inf_stay_in_their_matrix(engine: str, ord: Any, bad: float, rng: Any) -> None:
    library, batch = DIFFERENTIATORS[engine], rng.standard_normal((3, 3, 4))
    batch[1, 2, 1] = bad
    values, G = library.value(batch, ord), library.gradient(batch, ord)
    assert np.isnan(values[1]) if math.isnan(bad) else np.isinf(values[1])
    assert np.all(np.isnan(G[1]))
    dG = library.hvp_reverse(batch, np.ones_like(batch), ord)
    assert np.all(np.isnan(dG[1]))
    for i in (0, 2):
        np.testing.assert_allclose(values[i], normgrad.matrix_norm(batch[i], ord), rtol=1e-13)
        np.testing.assert_allclose(G[i], normgrad.grad(batch[i], ord), atol=1e-13)
        assert np.all(np.isfinite(dG[i]))


@pytest.mark.parametrize("ord", ORDS, ids=str)
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 3, 2)], ids=str)
def test_empty_matrices(engine: str, ord: Any, shape: Any) -> None:
    library, empty = DIFFERENTIATORS[engine], np.zeros(shape)
    np.testing.assert_array_equal(library.value(empty, ord), np.zeros(shape[:-2]))
    assert library.gradient(empty, ord).shape == shape
    assert library.hvp_reverse(empty, empty, ord).shape == shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1)], ids=str)
@pytest.mark.parametrize("ord", [*ALIASES, normgrad.Schatten(3), normgrad.KyFan(1)], ids=str)
def test_vectors_as_matrices(ord: Any, shape: Any, rng: Any) -> None:
    A = rng.standard_normal(shape)
    value, G = normgrad.value_and_grad(A, ord)
    if not isinstance(ord, normgrad.Schatten | normgrad.KyFan):
        np.testing.assert_allclose(value, np.linalg.norm(A, ord))
    np.testing.assert_allclose(np.sum(G * A), value)


WRONG = [
    (lambda: normgrad.matrix_norm(A, "nuclear"), ValueError, "'nuclear'.*'fro', 'nuc', 2, -2"),
    (lambda: normgrad.matrix_norm(A, 3), ValueError, r"ord=3.*Schatten\(p\)"),
    (lambda: normgrad.matrix_norm(A, None), ValueError, "ord=None"),
    (lambda: normgrad.matrix_norm(A, True), ValueError, "ord=True"),
    (lambda: normgrad.matrix_norm(A, [2]), ValueError, r"ord=\[2\]"),
    (lambda: normgrad.matrix_norm(A, math.nan), ValueError, "ord=nan"),
    (lambda: normgrad.matrix_norm(A[0]), ValueError, r"at least 2 axes; got 1, shape \(4,\)"),
    (lambda: normgrad.matrix_norm(3.0), ValueError, "at least 2 axes; got 0"),
    (lambda: normgrad.matrix_norm(A, axis=(0, 0)), ValueError, "must differ"),
    (lambda: normgrad.matrix_norm(A, axis=(0, -2)), ValueError, "must differ"),
    (lambda: normgrad.matrix_norm(A, axis=(0, 2)), np.exceptions.AxisError, "axis 2.*2 axes"),
    (lambda: normgrad.matrix_norm(A, axis=0), TypeError, "pair of integers"),
    (lambda: normgrad.matrix_norm(A, axis=(0, 1, 2)), ValueError, "pair of integers"),
    (lambda: normgrad.matrix_norm(A, axis=("a", 1)), TypeError, "pair of integers"),
    (lambda: normgrad.matrix_norm(A, axis=None), TypeError, "pair of integers"),
    (lambda: normgrad.matrix_norm(A, axis="01"), TypeError, "pair of integers"),
    (lambda: normgrad.matrix_norm(A, axis="rows"), TypeError, "pair of integers"),
    (
        lambda: normgrad.matrix_norm(A, "nuc", method="lu"),
        ValueError,
        "'diagonal', .*'svd'",
    ),
    (lambda: normgrad.matrix_norm(A, "nuc", method=None), ValueError, "method=None"),
    (lambda: normgrad.matrix_norm(A, "nuc", method="diagonal"), ValueError, "row 0.*method='auto'"),
    (lambda: normgrad.matrix_norm(A, 1, method="svd"), ValueError, "norm of entries"),
    (lambda: normgrad.matrix_norm([[1, 2], [3]]), ValueError, "unequal lengths"),
    (lambda: normgrad.matrix_norm([["a", "b"]]), TypeError, "real or complex numbers"),
    (lambda: normgrad.matrix_norm(np.array([["x"]])), TypeError, "dtype '<U1'"),
    (lambda: normgrad.matrix_norm(A.astype(object)), TypeError, "got dtype 'object'"),
    (lambda: normgrad.matrix_norm(A.astype("M8[s]")), TypeError, "datetime64"),
    (lambda: normgrad.matrix_norm(A.astype(np.longdouble)), TypeError, "float64"),
    (lambda: normgrad.matrix_norm(np.ma.masked_equal(A, 0)), TypeError, "fill them first"),
    (lambda: normgrad.prox(scipy.sparse.eye_array(3), 1.0, 2), TypeError, "toarray"),
    (lambda: normgrad.prox(torch.eye(3).to_sparse(), 1.0, 2), TypeError, "to_dense"),
    (lambda: normgrad.matrix_norm("matrix"), TypeError, "got builtins.str"),
    (lambda: normgrad.matrix_norm(None), TypeError, "got builtins.NoneType"),
    (lambda: normgrad.Schatten(0.5), ValueError, "at least 1; got 0.5.*triangle"),
    (lambda: normgrad.Schatten(math.nan), ValueError, "got nan"),
    (lambda: normgrad.Schatten("2"), TypeError, "p must be a real number; got '2'"),
    (lambda: normgrad.schatten_norm(A, -1), ValueError, "at least 1"),
    (lambda: normgrad.KyFan(0), ValueError, "at least 1; got 0"),
    (lambda: normgrad.KyFan(1.5), TypeError, "integer; got 1.5"),
    (lambda: normgrad.KyFan(True), TypeError, "got True"),
    (lambda: normgrad.matrix_norm(A, normgrad.Nuclear), ValueError, r"write Nuclear\(\.\.\.\)"),
    (lambda: normgrad.matrix_norm(A, "Nuclear"), ValueError, "did you mean 'nuc'"),
    (lambda: normgrad.matrix_norm(A, "FRO"), ValueError, "did you mean 'fro'"),
    (lambda: normgrad.matrix_norm(A, "F"), ValueError, "did you mean 'fro'"),
    (lambda: normgrad.matrix_norm(A, normgrad.nuclear_norm), ValueError, "may be what you mean"),
    (lambda: normgrad.matrix_norm(A, np.ones((50, 50))), ValueError, r"array of shape \(50, 50\)"),
    (lambda: jax.jit(lambda x, o: normgrad.matrix_norm(x, o))(A, 2), ValueError, "static"),
    (lambda: normgrad.schatten_norm(A, torch.tensor(2.0)), TypeError, "not differentiable"),
    (lambda: normgrad.hvp(A, "nuc"), TypeError, "direction.*str"),
    (lambda: normgrad.hvp(A, "nuc", A), TypeError, "The order is hvp"),
    (lambda: normgrad.hvp(A, 2, A), TypeError, "direction.*int 2.*The order is hvp"),
    (lambda: normgrad.hvp(normgrad.LowRank(A, A.T), 2, A), TypeError, "The order is hvp"),
    (lambda: normgrad.subgradient_distance(A, 2, A), TypeError, r"g must.*distance\(x, g, ord\)"),
    (lambda: normgrad.prox(A, "nuc", 1.0), TypeError, r"'nuc'. The order is prox\(x, step, ord\)"),
    (lambda: normgrad.project(A, "nuc", 1), TypeError, r"order is project\(x, radius, ord\)"),
    (lambda: normgrad.project(A, normgrad.KyFan(2)), TypeError, "order is project"),
    (lambda: normgrad.lmo(A, "nuc"), TypeError, r"lmo\(x, radius, ord\), or lmo\(x, ord='nuc'\)"),
    (lambda: normgrad.prox(A, 1j, "nuc"), TypeError, "step"),
    (lambda: normgrad.matrix_norm([torch.ones(2), torch.ones(2)]), TypeError, "torch.*stack"),
    (lambda: normgrad.matrix_norm([[jnp.ones(()), 1.0]]), TypeError, "jax.*stack"),
    (lambda: normgrad.ky_fan_norm(A, 4), ValueError, "k = 4.*the 3 singular values.*3 x 4"),
    (lambda: normgrad.Spectral(tie_tol=0), ValueError, "tie_tol.*positive.*got 0"),
    (lambda: normgrad.Spectral(tie_tol="x"), TypeError, "tie_tol must be a real number; got 'x'"),
    (lambda: normgrad.Nuclear(rank_tol=-1e-3), ValueError, "rank_tol.*positive"),
    (lambda: normgrad.Nuclear(rank_tol=math.nan), ValueError, "rank_tol.*got nan"),
    (lambda: normgrad.KyFan(2, tie_tol=2.0), ValueError, "less than 1"),
    (lambda: normgrad.Schatten(3, rank_tol=0.0), ValueError, "rank_tol"),
    (lambda: normgrad.hvp(A, A.T, "nuc"), ValueError, r"shape of x, \(3, 4\); got \(4, 3\)"),
    (lambda: normgrad.hvp(A, A + 1j, "nuc"), TypeError, "real matrix can only move"),
    (lambda: normgrad.hvp(jnp.ones((2, 2)), torch.ones(2, 2), "nuc"), TypeError, "jax.*torch"),
    (lambda: normgrad.prox(A, 10**400, "nuc"), ValueError, "step must be.*1329 bits"),
    (lambda: normgrad.prox(A, {}, "nuc"), TypeError, "step must be.*got dict"),
    (lambda: normgrad.prox(A, np.array("a"), "nuc"), TypeError, "step must be.*dtype <U1"),
    (lambda: normgrad.prox(A, np.array(1 + 1j), "nuc"), TypeError, "step.*dtype complex128"),
    (lambda: normgrad.project(A, np.complex64(1j), "nuc"), TypeError, "radius.*dtype complex64"),
    (lambda: normgrad.prox(A, -1.0, "nuc"), ValueError, "nonnegative number; got -1.0"),
    (lambda: normgrad.lmo(A, float("inf"), 2), ValueError, r"lmo\(x, 1.0, inf\)"),
    (lambda: normgrad.prox(A, math.nan, "nuc"), ValueError, "got nan"),
    (lambda: normgrad.prox(A, np.ones(5), "nuc"), ValueError, r"step.*batch.*\(5,\)"),
    (lambda: normgrad.prox(A, 1.0, -2), NotImplementedError, "'fro', 'nuc', 2"),
    (lambda: normgrad.project(A, 1.0, -1), NotImplementedError, "'fro', 'nuc', 2"),
    (lambda: normgrad.prox(A, "x", "nuc"), TypeError, "step"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("engine", [torch.asarray, jnp.asarray], ids=["torch", "jax"])
def test_wrong_arguments_in_other_libraries(engine: Any) -> None:
    x = engine(A)
    for call, error in [
        (lambda: normgrad.matrix_norm(x, 3), ValueError),
        (lambda: normgrad.matrix_norm(x, axis=(0, 5)), IndexError),
        (lambda: normgrad.matrix_norm(x[0]), ValueError),
        (lambda: normgrad.ky_fan_norm(x, 9), ValueError),
        (lambda: normgrad.hvp(x, x.T, "nuc"), ValueError),
        (lambda: normgrad.prox(x, engine(np.ones(5)), "nuc"), ValueError),
    ]:
        with pytest.raises(error):
            call()


def test_negative_steps_in_arrays_give_nan() -> None:
    batch = np.stack([A, A])
    P = normgrad.prox(batch, np.array([1.0, -1.0]), "nuc")
    np.testing.assert_allclose(P[0], normgrad.prox(A, 1.0, "nuc"))
    assert np.all(np.isnan(P[1]))
    assert torch.isnan(normgrad.prox(torch.asarray(A), torch.tensor(-1.0), 2)).all()


def test_lists_and_odd_arrays_are_taken() -> None:
    assert float(normgrad.matrix_norm([[3, 0], [0, 4]])) == 5.0
    assert float(normgrad.matrix_norm(((3, 0), (0, 4)), 1)) == 4.0
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[3, 0], [0, 4]])
    assert float(normgrad.matrix_norm(matrix)) == 5.0
    assert float(normgrad.matrix_norm(np.array([[True, False]]), "nuc")) == 1.0
    assert normgrad.matrix_norm(np.ones((2, 2), dtype=np.uint8)).dtype == np.float64
    assert isinstance(normgrad.matrix_norm(A), np.float64)
    assert (
        normgrad.Schatten(np.float32(3)) == normgrad.Schatten(3) == normgrad.Schatten(np.int64(3))
    )
    assert normgrad.matrix_norm(A, np.int64(2)) == normgrad.matrix_norm(A, 2.0)
    big = A.astype(">f8")
    np.testing.assert_allclose(normgrad.grad(big, "nuc"), normgrad.grad(A, "nuc"))
    for view in (A[::-1], A[:, ::2], A.T, np.asfortranarray(A), np.broadcast_to(A, (2, 3, 4))):
        copy = np.ascontiguousarray(view)
        np.testing.assert_allclose(normgrad.grad(view, 2), normgrad.grad(copy, 2), atol=1e-15)
        np.testing.assert_allclose(normgrad.grad(view), normgrad.grad(copy), atol=1e-15)


def test_numpy_beside_another_library(rng: Any) -> None:
    """A NumPy array is taken into the library of the other argument."""
    E = rng.standard_normal(A.shape)
    expected, P = normgrad.hvp(A, E, "nuc"), normgrad.prox(A, 0.5, "nuc")
    for array in (torch.asarray, jnp.asarray):
        for result in (normgrad.hvp(array(A), E, "nuc"), normgrad.hvp(A, array(E), "nuc")):
            assert type(result) is type(array(A))
            np.testing.assert_allclose(np.asarray(result), expected, atol=1e-12)
        step = array(np.asarray(0.5))
        np.testing.assert_allclose(np.asarray(normgrad.prox(A, step, "nuc")), P, atol=1e-12)


@pytest.mark.parametrize("ord", [1, -1, math.inf, "nuc", 2, -2, normgrad.Schatten(3)], ids=str)
@pytest.mark.parametrize("engine", ["numpy", "torch", "jax"])
def test_complex_matrices_with_tiny_entries(engine: str, ord: Any) -> None:
    """The phase of a subnormal number is as good as any."""
    library, tiny = DIFFERENTIATORS[engine], 1e-310 * (3 + 4j)
    full, diagonal = np.array([[1 + 1j, tiny], [1, 1j]]), np.diag([1 + 1j, tiny])
    for M in (full, diagonal):
        G = library.gradient(M, ord)
        assert np.all(np.isfinite(G))
        assert np.all(np.isfinite(library.hvp_forward(M, np.eye(2) + 0j, ord)))
    if ord == -1:
        assert library.gradient(diagonal, ord)[1, 1] == pytest.approx(0.6 + 0.8j)
    if ord == math.inf:
        G = library.gradient(np.array([[1, tiny], [0, 0]]), ord)
        np.testing.assert_allclose(G, [[1, 0.6 + 0.8j], [0, 0]], atol=1e-15)


def test_real_signs_of_subnormal_entries() -> None:
    M = np.array([[1.0, 1e-310], [-1e-310, 1e-310]])
    for engine in DIFFERENTIATORS:
        np.testing.assert_array_equal(DIFFERENTIATORS[engine].gradient(M, 1), [[1, 0], [-1, 0]])


def test_inf_in_another_line_is_not_forgotten() -> None:
    M = np.array([[np.inf, 1.0], [1, 1]])
    for batch in (np.stack([M, np.eye(2)]), np.stack([M, np.eye(2) * 1e-200])):
        assert np.isinf(normgrad.matrix_norm(batch, -1)[0])
        assert np.all(np.isnan(normgrad.grad(batch, -1)[0]))


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
@pytest.mark.parametrize("axis", [(-2, -1), (0, 1), (0, -1)])
def test_a_float_axis_is_refused_though_its_integers_were_seen(axis: Any, library: Any) -> None:
    """Python takes 1 and 1.0 for the same key."""
    x = library(np.ones((3, 2)))
    for norm in (normgrad.matrix_norm, normgrad.value_and_grad, normgrad.spectral_norm):
        norm(x, axis=axis)
        norm(x, axis=tuple(map(np.int64, axis)))
        for wrong in ((float(axis[0]), axis[1]), (axis[0], float(axis[1]))):
            with pytest.raises(TypeError, match="pair of integers"):
                norm(x, axis=wrong)
        for wrong in ((), axis[:1], {}, {0: 1}):
            with pytest.raises((TypeError, ValueError), match="pair of integers"):
                norm(x, axis=wrong)
