"""``normgrad check``."""

import numpy as np
import pytest

import normgrad.cli.check as module
from normgrad.testing import check_grad

A = np.random.default_rng(0).standard_normal((6, 4))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, A)
    return path


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("ord", ["nuc", "1", "schatten:3"])
def test_report_is_printed(cli, saved, ord, order):
    outcome = cli("check", saved, "--ord", ord, "--order", order)
    assert outcome.status == 0
    assert outcome.err == ""
    assert "passed" in outcome.out
    assert outcome.out.count("relative error") == order


def test_report_is_that_of_the_library(cli, saved):
    assert cli("check", saved, "--ord", "nuc").out == f"{check_grad(A, 'nuc')}\n"


@pytest.mark.parametrize(("passed", "conclusive"), [(False, True), (True, False)])
def test_status_is_1_if_it_does_not_pass(cli, saved, monkeypatch, passed, conclusive):
    class Report:
        def __str__(self) -> str:
            return "FAILED [as told]"

    Report.passed, Report.conclusive = passed, conclusive

    def failing(x, *arguments, strict, **options):
        assert np.array_equal(x, A)
        assert strict is False
        return Report()

    monkeypatch.setattr(module, "check_grad", failing)
    outcome = cli("check", saved)
    assert (outcome.status, outcome.out, outcome.err) == (1, "FAILED [as told]\n", "")


def test_names_are_told(cli, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n3,4\n5,7\n")
    outcome = cli("check", path)
    assert outcome.status == 0
    assert outcome.facts["note"] == "line 1 taken as column names"


def test_integers_and_batches(cli, tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).integers(-9, 9, (2, 5, 4)))
    assert cli("check", path, "--ord", "nuc").status == 0
    assert cli("check", path, "--ord", "fro", "--axis", "0,1").status == 0
