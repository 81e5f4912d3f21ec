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
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
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
