"""NumPy's own tests of norms, run with this library in the place of NumPy's matrix norms.

Every test of numpy.linalg and numpy.matrixlib that reaches a norm is run: those of norms, of
condition numbers (`numpy.linalg.cond` is made of norms) and the regressions. Vector norms,
which are no business of this library, stay with NumPy.
"""

import inspect
import itertools
import types
import warnings
from collections import Counter
from typing import Any
from unittest import mock

import numpy as np
import pytest

import normgrad


def _import_numpy_tests() -> tuple[types.ModuleType, types.ModuleType, types.ModuleType]:
    # NumPy's tests have marks and make warnings that are not known here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mock.patch.object(pytest, "mark", pytest.MarkGenerator()):
            import numpy.linalg.tests.test_linalg as linalg
            import numpy.linalg.tests.test_regression as regression
            import numpy.matrixlib.tests.test_matrix_linalg as matrix
    return linalg, regression, matrix


LINALG, REGRESSION, MATRIX = _import_numpy_tests()
NUMPY_NORM, NUMPY_MATRIX_NORM = np.linalg.norm, np.linalg.matrix_norm
CALLS: Counter[str] = Counter()


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return numpy.linalg.norm, that of matrices by this library."""
    array = np.asarray(x)
    pair = axis
    if axis is None and array.ndim == 2:
        pair = (0, 1)
    # a matrix of objects is refused here, while NumPy takes some
    if not isinstance(pair, tuple) or len(pair) != 2 or array.dtype == object:
        CALLS["vector"] += 1
        return NUMPY_NORM(x, ord, axis, keepdims)
    CALLS["matrix"] += 1
    ord = "fro" if ord is None else ord
    return normgrad.matrix_norm(x, ord, axis=pair, keepdims=keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return numpy.linalg.matrix_norm by this library."""
    CALLS["matrix"] += 1
    return normgrad.matrix_norm(x, ord, keepdims=keepdims)


@pytest.fixture(autouse=True)
def in_the_place_of_numpy(monkeypatch):
    """Replace NumPy's norms wherever its tests, and its cond, find them."""
    CALLS.clear()
    places = (np.linalg, LINALG, inspect.unwrap(np.linalg.cond).__globals__)
    for place in places:
        if isinstance(place, dict):
            monkeypatch.setitem(place, "norm", norm)
        else:
            monkeypatch.setattr(place, "norm", norm)
    monkeypatch.setattr(np.linalg, "matrix_norm", matrix_norm)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)  # of np.matrix
        yield


class TestNormDouble(LINALG.TestNormDouble):
    pass


class TestNormSingle(LINALG.TestNormSingle):
    pass


class TestNormInt64(LINALG.TestNormInt64):
    pass


class TestNorm_NonSystematic(LINALG.TestNorm_NonSystematic):
    pass


class TestCond(LINALG.TestCond):
    pass


class TestNormDoubleMatrix(MATRIX.TestNormDoubleMatrix):
    pass


class TestNormSingleMatrix(MATRIX.TestNormSingleMatrix):
    pass


class TestNormInt64Matrix(MATRIX.TestNormInt64Matrix):
    pass


class TestCondMatrix(MATRIX.TestCondMatrix):
    pass


class TestRegression:
    """Those of NumPy's regression tests that reach a norm."""

    test_norm_vector_badarg = REGRESSION.TestRegression.test_norm_vector_badarg
    test_svd_no_uv = REGRESSION.TestRegression.test_svd_no_uv
    test_norm_object_array = REGRESSION.TestRegression.test_norm_object_array
    test_norm_linux_arm = REGRESSION.TestRegression.test_norm_linux_arm


test_matrix_norm = LINALG.test_matrix_norm
test_matrix_norm_empty = LINALG.test_matrix_norm_empty
test_vector_norm = LINALG.test_vector_norm
test_vector_norm_empty = LINALG.test_vector_norm_empty


# --- that nothing is left out, and that it is this library that is tested ---


@pytest.mark.parametrize("module", [LINALG, MATRIX], ids=lambda module: module.__name__)
def test_every_test_of_norms_is_run(module):
    """A test that a later NumPy adds has to be added here."""
    for name, test in vars(module).items():
        if name.startswith(("Test", "test")) and ("norm" in name.lower() or "Cond" in name):
            run = globals()[name]
            assert run is test or issubclass(run, test)


def test_every_regression_test_of_norms_is_run():
    for name in dir(REGRESSION.TestRegression):
        assert "norm" not in name or hasattr(TestRegression, name)


NORM_CLASSES = (
    TestNormDouble,
    TestNormSingle,
    TestNormInt64,
    TestNormDoubleMatrix,
    TestNormSingleMatrix,
    TestNormInt64Matrix,
)
MATRIX_TESTS = [
    (cls, name)
    for cls in NORM_CLASSES
    for name in dir(cls)
    if name.startswith("test_matrix") or name in ("test_axis", "test_keepdims")
]


@pytest.mark.parametrize(("cls", "name"), MATRIX_TESTS)
def test_numpy_tests_fail_with_a_wrong_matrix_norm(cls, name, monkeypatch):
    right, error = normgrad.matrix_norm, itertools.count(1)
    monkeypatch.setattr(normgrad, "matrix_norm", lambda *a, **kw: right(*a, **kw) + next(error))
    with pytest.raises(AssertionError):
        getattr(cls(), name)()
    assert CALLS["matrix"] > 0


@pytest.mark.parametrize("cls", NORM_CLASSES)
def test_wrong_arguments_reach_this_library(cls):
    cls().test_bad_args()
    assert CALLS["matrix"] >= 6


def test_condition_numbers_reach_this_library():
    for ord in ("fro", 1, -1, np.inf, -np.inf):
        np.linalg.cond(np.eye(3), ord)
    assert CALLS["matrix"] == 10
