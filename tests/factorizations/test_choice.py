"""Which factorization runs, and what explain says of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.factorizations import TABLE, Coordinates
from normgrad.matrices import first_off_diagonal

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "jax": jnp.asarray}


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("shape", [(5, 5), (3, 5), (5, 3), (2, 4, 5)], ids=str)
def test_diagonal_scan(library: str, shape: Any) -> None:
    array, k = LIBRARIES[library], min(shape[-2:])
    A = np.zeros(shape)
    A[..., range(k), range(k)] = np.arange(k) - 1.0
    assert first_off_diagonal(array(A)) is None
    for row, column in ((0, 1), (shape[-2] - 1, 0), (k - 1, shape[-1] - 2)):
        B = A.copy()
        B[..., row, column] = 5e-324 if row != column else B[..., row, column]
        found = first_off_diagonal(array(B))
        assert (found is None) == (row == column)
        if found is not None:
            assert found <= row


def test_the_scan_stops_at_the_first_row(monkeypatch: Any) -> None:
    """Of a full matrix one row is read."""
    read = []
    count = np.count_nonzero

    def counting(x: Any, *args: Any, **kwargs: Any) -> Any:
        read.append(np.size(x))
        return count(x, *args, **kwargs)

    from normgrad.arithmetic.namespace import numpy_namespace

    monkeypatch.setattr(numpy_namespace, "count_nonzero", counting)
    assert first_off_diagonal(np.ones((50, 40))) == 0
    assert max(read) <= 40


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("ord", ["nuc", 2, -2, normgrad.Schatten(3), normgrad.KyFan(2)], ids=str)
def test_a_diagonal_matrix_needs_no_svd(library: str, ord: Any, monkeypatch: Any) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an SVD was computed")

    for module in (np.linalg, torch.linalg, jnp.linalg):
        monkeypatch.setattr(module, "svd", refuse)
    x = LIBRARIES[library](np.diag([2.0, -5.0, 0.0, 5.0]))
    expected = normgrad.hvp(np.diag([2.0, -5.0, 0.0, 5.0]), np.ones((4, 4)), ord)
    value, G = normgrad.value_and_grad(x, ord)
    assert np.isfinite(float(value))
    assert np.count_nonzero(np.asarray(G)) <= 4
    dG = normgrad.hvp(x, LIBRARIES[library](np.ones((4, 4))), ord)
    np.testing.assert_allclose(np.asarray(dG), expected, atol=1e-14)


def test_coordinates_are_what_they_stand_for(rng: Any) -> None:
    order = np.array([[3, 0, 2], [1, 4, 0]])
    phase = np.exp(1j * rng.standard_normal((2, 3)))
    frame = Coordinates(order, phase, 5)
    Q = np.zeros((2, 5, 3), dtype=complex)
    for b in range(2):
        Q[b, order[b], range(3)] = phase[b]
    X, Y, Z = (rng.standard_normal((2, *shape)) for shape in ((3, 4), (5, 4), (4, 5)))
    QH = Q.conj().mT
    np.testing.assert_allclose(frame.expand(X), Q @ X)
    np.testing.assert_allclose(frame.coefficients(Y), QH @ Y)
    np.testing.assert_allclose(frame.coefficients_right(Z), Z @ Q)
    np.testing.assert_allclose(frame.expand_right(X.mT), X.mT @ QH)
    g = rng.standard_normal((2, 3))
    np.testing.assert_allclose(frame.scaled(g), Q * g[:, None, :])
    np.testing.assert_allclose(frame.leading(2).expand(X[:, :2]), Q[..., :2] @ X[:, :2])


def test_explain() -> None:
    diagonal, full = np.diag([1.0, 2.0]), np.ones((3, 4))
    assert normgrad.explain(diagonal, "nuc").factorization == "diagonal"
    account = normgrad.explain(full, "nuc")
    assert account.factorization == "svd"
    assert [name for name, _ in account.considered] == [f.name for f in TABLE]
    assert "diagonal: no, there is a nonzero off the diagonal from row 0 on" in str(account)
    for ord in ("fro", 1, -np.inf, normgrad.Schatten(2)):
        assert normgrad.explain(full, ord).factorization == "none"
    assert "3 x 4 float32 matrix in a batch of 2" in str(
        normgrad.explain(np.ones((2, 3, 4), dtype=np.float32), 2)
    )
    assert normgrad.explain(np.ones((0, 4)), 2).factorization == "none"
    assert normgrad.explain(full, 2, method="svd").considered[0][0] == "svd"
    seen = []
    jax.jit(lambda x: seen.append(normgrad.explain(x, "nuc")) or x)(diagonal)
    assert "traced" in str(seen[0])
    assert seen[0].factorization == "svd"


def test_when_divide_and_conquer_fails(rng: Any, monkeypatch: Any) -> None:
    """The SVD of a triangular factor takes its place."""
    svd = np.linalg.svd
    for shape in ((6, 4), (4, 6), (2, 5, 5)):
        A = rng.standard_normal(shape)
        expected = normgrad.value_and_grad(A, "nuc")
        calls: list[Any] = []

        def once(*args: Any, calls: list[Any] = calls, **kwargs: Any) -> Any:
            calls.append(args)
            if len(calls) == 1:
                raise np.linalg.LinAlgError("SVD did not converge")
            return svd(*args, **kwargs)

        monkeypatch.setattr(np.linalg, "svd", once)
        value, G = normgrad.value_and_grad(A, "nuc")
        assert len(calls) == 2
        np.testing.assert_allclose(value, expected[0], rtol=1e-13)
        np.testing.assert_allclose(G, expected[1], atol=1e-13)
        monkeypatch.setattr(np.linalg, "svd", svd)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_flat_spectrum_is_not_sketched(library: str, rng: Any, monkeypatch: Any) -> None:
    """Four random vectors tell that the rank is not low; of a low one they tell nothing else."""
    from normgrad.factorizations import randomized

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a sketch was made")

    monkeypatch.setattr(randomized, "_sketch", refuse)
    full, low = rng.standard_normal((400, 450)), rng.standard_normal((400, 30))
    expected = np.linalg.svd(full, compute_uv=False).sum()
    for scale in (1.0, 1e-300, 1e300):
        value = normgrad.matrix_norm(LIBRARIES[library](full * scale), "nuc")
        assert float(value) == pytest.approx(expected * scale, rel=1e-13)
    normgrad.matrix_norm(LIBRARIES[library](full + 1j * full[::-1]), "nuc")
    with pytest.raises(AssertionError, match="a sketch was made"):
        normgrad.matrix_norm(LIBRARIES[library](low @ low.T), "nuc")
