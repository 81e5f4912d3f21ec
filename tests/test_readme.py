"""What the README shows is what happens."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs_and_prints_what_it_says() -> None:
    if not README.exists():
        pytest.skip("not a source checkout")
    code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)  # the README is ours
    for line in out.getvalue().splitlines():
        assert "# " + line in code
    torch.testing.assert_close(names["A"].grad, torch.diag(torch.tensor([0.5, 0.5, 0.0]).double()))
    product = names["normgrad"].hvp(names["A"], names["E"], "nuc")
    shown = [float(x) for x in re.findall(r"-?\d\.\d{4}", code[code.index("hvp") :])]
    assert shown[:9] == [round(x, 4) for x in product.flatten().tolist()]


def test_the_example_of_a_matrix_type_runs() -> None:
    if not README.exists():
        pytest.skip("not a source checkout")
    _, code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert "200_000" in code
    names: dict[str, Any] = {}
    exec(code.replace("200_000", "2_000"), names)
    value, gradient = names["value"], names["gradient"]
    A = names["A"]
    assert value == pytest.approx((gradient.left * A.left).sum(), rel=1e-12)
    assert value == pytest.approx((gradient.right * A.right).sum(), rel=1e-12)


def test_the_example_of_training_runs() -> None:
    if not README.exists():
        pytest.skip("not a source checkout")
    code = next(
        c for c in re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
        if "normgrad.nn.torch" in c
    )  # fmt: skip
    names: dict[str, Any] = {"torch": torch}
    exec(code.replace("32", "8"), names)
    bound = names["lipschitz_bound"](names["net"], (3, 8, 8))
    assert bound.item() == pytest.approx(1, rel=1e-5)
