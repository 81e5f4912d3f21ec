"""What is public, what an import loads, and how the layers lie."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgrad
from normgrad.norms import Curvature, UnitarilyInvariantNorm

SOURCE = Path(normgrad.__file__).parent
OPTIONAL = ("torch", "jax", "jaxlib", "autograd", "scipy", "matplotlib", "typer", "rich", "PIL")


def _modules() -> list[str]:
    found = pkgutil.walk_packages([str(SOURCE)], "normgrad.")
    return ["normgrad", *(m.name for m in found if not m.name.endswith("__main__"))]


@pytest.mark.parametrize("name", _modules())
def test_all_is_what_is_public(name: str) -> None:
    """``__all__`` is sorted, exists, and holds every public name that the module defines."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=_as_ruff_sorts)
    assert all(hasattr(module, public) for public in module.__all__)
    if module.__file__ and module.__file__.endswith("__init__.py"):
        return
    tree = ast.parse(Path(module.__file__).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert {name for name in defined if not name.startswith("_")} <= set(module.__all__)


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants first, then classes, then functions."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


def test_the_fixed_names() -> None:
    names = (
        "matrix_norm frobenius_norm spectral_norm nuclear_norm schatten_norm ky_fan_norm "
        "value_and_grad grad hvp prox explain Frobenius Spectral Nuclear Schatten KyFan"
    ).split()
    assert set(names) <= set(normgrad.__all__)
    from normgrad.compat import scirs2
    from normgrad.testing import check_grad

    assert callable(check_grad)
    assert set(scirs2.__all__) == {
        "frobenius_norm",
        "spectral_norm",
        "nuclear_norm",
        "norm1",
        "norm2",
        "norminf",
        "normfro",
    }


def _loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    return {name.split(".")[0] for name in out.split()}


def test_import_loads_no_other_library() -> None:
    code = "import normgrad, normgrad.testing, normgrad.compat, normgrad.nn"
    assert not _loaded_after(code) & set(OPTIONAL)


def test_a_norm_of_a_tensor_does_not_load_its_compiler() -> None:
    """Which takes a second."""
    code = """
import sys, torch, normgrad
normgrad.nuclear_norm(torch.eye(3, requires_grad=True)).backward()
assert "torch._dynamo" not in sys.modules
"""
    assert "torch" in _loaded_after(code)


def test_numpy_work_loads_no_other_library() -> None:
    code = """
import numpy as np, normgrad
from normgrad.testing import check_grad
for ord in ("fro", "nuc", 2, 1):
    normgrad.hvp(np.eye(3), np.ones((3, 3)), ord)
    check_grad(np.eye(3), ord)
"""
    assert not _loaded_after(code) & set(OPTIONAL)


@pytest.mark.parametrize("library", ["torch", "autograd.numpy"])
def test_an_engine_loads_only_its_library(library: str) -> None:
    code = f"import {library} as np, normgrad\nnormgrad.grad(np.ones((2, 3)), 'nuc')"
    others = {"torch", "jax", "autograd"} - {library.split(".")[0]}
    assert not _loaded_after(code) & others


def test_public_functions_have_runnable_examples() -> None:
    for name in normgrad.__all__:
        public: Any = getattr(normgrad, name)
        if name in ("Explanation", "OrderError", "compat", "testing"):
            continue
        assert ">>>" in public.__doc__, name


def test_files_hold_one_idea() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {path.name: n for path, n in lines.items() if n > 350} == {}


def test_layers_point_one_way() -> None:
    """The contracts of import-linter in pyproject.toml."""
    root = SOURCE.parents[1]
    if not (root / "pyproject.toml").exists():
        pytest.skip("not a source checkout")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@dataclass(frozen=True)
class Weighted(UnitarilyInvariantNorm):
    """2 s_1 + s_2 + s_3 + ..."""

    top: float = 2.0

    def value(self, s: Any) -> Any:
        return s.sum(-1) + (self.top - 1) * s[..., 0]

    def slope(self, s: Any, tie: float) -> Any:
        first = s >= s[..., :1] * (1 - tie)
        share = (self.top - 1) / first.sum(-1)[..., None]
        return (s > 0) * 1.0 + first * share

    def curvature(self, s: Any, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))


def test_a_norm_of_ones_own() -> None:
    """A user's norm needs its file alone: value, slope and curvature of a gauge."""
    import torch

    A = np.array([[3.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
    s = np.linalg.svd(A, compute_uv=False)
    assert np.isclose(normgrad.matrix_norm(A, Weighted()), s.sum() + s[0])
    from normgrad.testing import check_grad

    check_grad(A, Weighted(3.0))
    x = torch.from_numpy(A).requires_grad_()
    check_grad(x, Weighted(3.0))
    compiled = torch.compile(lambda x: normgrad.matrix_norm(x, Weighted()), fullgraph=True)
    compiled(x).backward()
    np.testing.assert_allclose(x.grad, normgrad.grad(A, Weighted()), atol=1e-14)
