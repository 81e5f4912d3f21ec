"""The checker passes what is right and catches what is wrong."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.engines.numpy import NumpyEngine
from normgrad.norms import ALIASES, Nuclear
from normgrad.testing import GradientCheck, check_grad
from normgrad.testing.differences import central_difference

ORDS = [*ALIASES, normgrad.Schatten(1.3), normgrad.Schatten(3), normgrad.KyFan(2)]
RNG = np.random.default_rng(3)
A = RNG.standard_normal((6, 4))
MATRICES = {
    "random": A,
    "identity": np.eye(4),
    "ties": np.diag([3.0, 2.0, 2.0, 1.0]),
    "zero": np.zeros((3, 3)),
    "rank 2": A[:, :2] @ A[:2],
    "tiny": A * 1e-200,
    "subnormal": A * 1e-309,
    "huge": A * 1e200,
    "complex": A + 1j * A[::-1],
    "batch": RNG.standard_normal((2, 3, 4)),
    "integers": np.arange(6).reshape(2, 3),
    "float32": A.astype(np.float32),
}


@pytest.mark.parametrize("name", list(MATRICES))
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_right_gradients_pass(ord: Any, name: str) -> None:
    report = check_grad(MATRICES[name], ord)
    assert report.passed
    assert len(report.errors) == report.order == 2
    assert max(report.errors) < (1e-3 if name == "float32" else 1e-5)


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-9, 1e-12, 1e-14])
@pytest.mark.parametrize("turned", [False, True])
def test_right_derivatives_beside_a_tie_or_a_zero_do_not_fail(turned: bool, gap: float) -> None:
    """The library is right there to 50 digits; differences may only be inconclusive."""
    Q, R = (np.linalg.qr(RNG.standard_normal((4, 4)))[0] for _ in range(2))
    for s in ([1, 1 - gap, 0.5, 0], [1, 0.5, 0.5 - gap, gap], [1, 1, 1 - gap, 0.2]):
        near = Q @ np.diag(s) @ R if turned else np.diag(s)
        for ord in (2, "nuc", normgrad.KyFan(2), normgrad.Schatten(1.5)):
            assert check_grad(near, ord, strict=False).passed, (ord, s)


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-9, 1e-12, 1e-14])
def test_wrong_derivatives_beside_a_tie_or_a_zero_fail(gap: float, monkeypatch: Any) -> None:
    right = NumpyEngine.apply
    monkeypatch.setattr(NumpyEngine, "apply", lambda *a: right(*a) * 1.01)
    for s in ([1, 1 - gap, 0.5, 0], [1, 0.5, 0.5 - gap, gap], [1, 1, 1 - gap, 0.2]):
        for ord in ("nuc", 2) if gap == 1e-3 else ("nuc",):
            assert not check_grad(np.diag(s), ord, strict=False).passed, (ord, s)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize(
    "ord",
    [
        normgrad.Squared("nuc"),
        normgrad.Squared(2),
        normgrad.HuberNuclear(0.7),
        normgrad.SpectralFunction(lambda s: s**3, lambda s: 3 * s**2, lambda s: 6 * s),
    ],
    ids=str,
)
def test_functions_that_are_no_norms(ord: Any, scale: float) -> None:
    for x in (scale * A, torch.from_numpy(scale * A)):
        assert check_grad(x, ord).passed
    wrong = normgrad.SpectralFunction(lambda s: s**3, lambda s: 3.001 * s**2, lambda s: 6 * s)
    assert not check_grad(A, wrong, order=1, strict=False).passed


CUBE = {"f": lambda s: s**3, "df": lambda s: 3 * s**2, "d2f": lambda s: 6 * s}


@pytest.mark.parametrize("scale", [1e-11, 1e-6, 1.0, 1e6])
def test_wrong_functions_fail_at_every_scale(scale: float) -> None:
    zero, A_ = (lambda s: 0 * s), scale * A
    assert check_grad(A_, normgrad.SpectralFunction(**CUBE)).conclusive
    for wrong in ({"df": zero}, {"d2f": zero}, {"df": lambda s: 3.03 * s**2}):
        ord = normgrad.SpectralFunction(**(CUBE | wrong))
        assert not check_grad(A_, ord, strict=False).passed
    ord = normgrad.SpectralFunction(lambda s: s**2, zero, zero)
    assert not check_grad(A_, ord, strict=False).passed


@pytest.mark.parametrize("ord", ["nuc", 2, 1, "fro", normgrad.KyFan(2), normgrad.Schatten(1.5)])
def test_squares_at_zero(ord: Any, monkeypatch: Any) -> None:
    """Their second derivative there depends on the direction, but for the Frobenius norm."""
    assert check_grad(np.zeros((3, 3)), normgrad.Squared(ord)).conclusive
    monkeypatch.setattr(NumpyEngine, "apply", lambda self, derivative, E: 2.1 * E)
    report = check_grad(np.zeros((3, 3)), normgrad.Squared(ord), strict=False)
    assert report.passed == (ord != "fro")


@pytest.mark.parametrize("seed", range(4))
def test_where_differences_can_not_tell_nothing_fails(seed: int) -> None:
    hilbert = 1 / (np.arange(8)[:, None] + np.arange(8) + 1.0)
    for ord in (-2, "nuc"):
        assert not check_grad(hilbert, ord, seed=seed).conclusive


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "complex128"])
@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
def test_other_libraries(ord: Any, dtype: str) -> None:
    x = torch.from_numpy(A).to(getattr(torch, dtype))
    assert check_grad(x, ord).engine == "torch"
    assert check_grad(jnp.asarray(A).astype(dtype), ord).engine == "jax"


@pytest.mark.parametrize("axis", [(0, 1), (2, 0)])
def test_axes(axis: Any) -> None:
    assert check_grad(RNG.standard_normal((3, 4, 5)), "nuc", axis=axis).passed


@pytest.mark.parametrize("matrix", [A, np.eye(4), MATRICES["rank 2"], A * 1e-200], ids=str)
@pytest.mark.parametrize("error", [1e-4, -1e-4, float("nan")])
def test_a_wrong_gradient_fails(matrix: Any, error: float, monkeypatch: Any) -> None:
    slope = Nuclear.slope
    monkeypatch.setattr(Nuclear, "slope", lambda self, s, tie: slope(self, s, tie) * (1 + error))
    with pytest.raises(AssertionError, match="nuclear norm, numpy: FAILED"):
        check_grad(matrix, "nuc", order=1)
    assert not check_grad(matrix, "nuc", order=1, strict=False).passed


@pytest.mark.parametrize("matrix", [A, np.eye(4), MATRICES["rank 2"], A * 1e-200], ids=str)
def test_a_wrong_hessian_fails(matrix: Any, monkeypatch: Any) -> None:
    right = NumpyEngine.apply
    monkeypatch.setattr(NumpyEngine, "apply", lambda *a: right(*a) * (1 + 1e-4))
    assert check_grad(matrix, "nuc", order=1).passed
    with pytest.raises(AssertionError, match="Hessian product"):
        check_grad(matrix, "nuc")


def test_reports() -> None:
    kink, smooth = check_grad(np.eye(3), 2), check_grad(A, 2)
    assert kink.kink
    assert not smooth.kink
    assert "not differentiable here" in str(kink)
    assert "gradient: relative error" in str(smooth)
    assert isinstance(smooth, GradientCheck)


@pytest.mark.parametrize("smallest", [1e-6, 1e-8, 1e-10, 1e-12, 1e-13])
@pytest.mark.parametrize(
    "ord", [-2, "nuc", normgrad.Schatten(1.1), normgrad.Schatten(1.5)], ids=str
)
def test_right_gradients_near_a_kink_never_fail(ord: Any, smallest: float) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        Q, R = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
        check_grad((Q * np.array([1, 0.5, 0.2, smallest])) @ R, ord, seed=seed)


def test_where_differences_can_not_tell() -> None:
    """A pass is inconclusive where the differences are not good to 1 %."""
    sharp = check_grad(A, "nuc")
    assert sharp.conclusive
    vague = dataclasses.replace(sharp, estimates=(1e-2, 0.0), tolerances=(1e-1, 1e-8))
    assert vague.passed
    assert not vague.conclusive
    assert "inconclusive" in str(vague)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_grad(A, "nuc", 3), "order must be 1 or 2; got 3"),
        (lambda: check_grad(A, "nuc", directions=0), "directions must be at least 1"),
        (lambda: check_grad(A * np.nan, "nuc"), "NaN or inf"),
        (lambda: check_grad(np.zeros((0, 3)), "nuc"), "is empty"),
        (lambda: check_grad(A, "nuk"), "ord='nuk'"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "wrong", ["nuc", normgrad.Nuclear(), lambda x: x], ids=["name", "norm", "f"]
)
def test_the_order_of_arguments_is_told(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"The order is check_grad\(x, ord\)"):
        check_grad(wrong, A)


def test_differences_know_their_error() -> None:
    smooth = central_difference(np.sin, 1e-16)
    assert abs(smooth.value - 1) <= smooth.error < 1e-10
    assert not smooth.kink
    kink = central_difference(lambda h: abs(h) + h, 1e-16)
    assert kink.kink
    assert (kink.backward, kink.forward) == (0, 2)
    rough = central_difference(lambda h: h * abs(h) ** 0.5 + h, 1e-16)
    assert abs(rough.value - 1) <= 10 * rough.error
