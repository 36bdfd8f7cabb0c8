"""The checks of the chapters fail when they should, and print nothing that could change."""

import json
import math

import numpy as np
import pytest
import torch

from arnn import checks, exact
from arnn.checks import VERDICTS, CheckFailed, Claim, check, check_sigmas, check_that, show_source


@pytest.mark.parametrize(
    ("value", "expected", "within"),
    [
        (1.0, 1.05, 0.1),
        (1.0, 1.5, 0.5),
        (np.array([1.0, 2.0]), np.array([1.0, 2.1]), 0.11),
        (torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.1]]), 0.11),
        (np.array([1.0, 1.1]), 1.0, 0.11),
        (1e-13, 0.0, 1e-12),
    ],
)
def test_a_check_that_holds_prints_one_line(capsys, value, expected, within):
    check("both agree", value, expected, within=within)
    assert capsys.readouterr().out.startswith("✓ both agree")


@pytest.mark.parametrize(
    ("value", "expected", "within"),
    [
        (1.0, 1.2, 0.1),
        (-1.0, 1.0, 0.1),
        (math.nan, 1.0, 10.0),
        (1.0, math.inf, 10.0),
        (np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0]), 0.5),
        (np.array([1.0, np.nan]), np.array([1.0, 1.0]), 0.5),
        (torch.tensor([1.0, math.nan]), torch.tensor([1.0, 1.0]), 0.5),
        (torch.tensor([1.0, -9.0]), 1.0, 0.5),
    ],
)
def test_a_check_that_does_not_hold_raises(capsys, value, expected, within):
    with pytest.raises(CheckFailed, match=r"both agree: \|value - expected\| = "):
        check("both agree", value, expected, within=within)
    assert capsys.readouterr().out == ""


def test_a_value_is_shown_rounded_or_not_at_all(capsys):
    check("ln Z", 1.23456789, 1.2345, within=1e-3, show=".3f")
    check("a rounding error", 3.1e-17, within=1e-12)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("✓ ln Z: 1.235")
    assert "1.2346" not in first
    assert "3.1e-17" not in second


def test_standard_errors(capsys):
    check_sigmas("f", 1.0, 0.1, 1.3)
    printed = capsys.readouterr().out
    assert printed.startswith("✓ f: within 4 standard errors")
    assert "1.3" not in printed
    for value, error in ((1.0, 0.05), (math.nan, 0.1)):
        with pytest.raises(CheckFailed, match=r"f: \S+ standard errors from the expected value"):
            check_sigmas("f", value, error, 1.3)
    with pytest.raises(CheckFailed, match=r"f: 3.0 standard errors"):
        check_sigmas("f", 1.0, 0.1, 1.3, sigmas=2)
    for error in (0.0, -1.0, math.nan):
        with pytest.raises(CheckFailed, match="the standard error must be positive"):
            check_sigmas("f", 1.0, error, 1.0)


def test_statements(capsys):
    check_that("two is even", True)
    check_that("so is a tensor of truth", torch.tensor(True))
    assert capsys.readouterr().out == "✓ two is even\n✓ so is a tensor of truth\n"
    with pytest.raises(CheckFailed, match="three is even: does not hold"):
        check_that("three is even", False)
    assert issubclass(CheckFailed, AssertionError)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_claim_shows_all_that_it_holds(verdict):
    claim = Claim("Results, Fig. 4B", "error < 1 %", "0.5 ± 0.1 %", verdict, "run cw_n20")
    for part in ("Results, Fig. 4B", "error < 1 %", "0.5 ± 0.1 %", verdict, "run cw_n20"):
        assert part in repr(claim)
    shown = claim._repr_html_()
    assert "error &lt; 1 %" in shown
    assert f'data-verdict="{verdict}"' in shown


def test_a_claim_needs_one_of_the_four_verdicts():
    assert len(VERDICTS) == 4
    with pytest.raises(ValueError, match=r"verdict must be one of reproduced, .* not 'maybe'"):
        Claim("Fig. 1", "says", "found", "maybe", "evidence")


def test_claims_are_read_back_from_a_notebook(tmp_path):
    claims = [
        Claim(
            "Sec. IV (text)", "a: b. c", "0.5 ± 0.1 (N = 20)\nand more. Verdict", "partly", "a run"
        ),
        Claim("Fig. 1", "x", "y", "reproduced", "tests/x.py; tests/y.py"),
    ]
    outputs = [{"output_type": "execute_result", "data": {"text/plain": repr(c)}} for c in claims]
    outputs.append({"output_type": "stream", "text": "no claim"})
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert checks.stored_claims(tmp_path / "x.ipynb") == claims


def test_shown_source_is_the_source():
    with_docstring = repr(show_source(exact.log_partition, docstring=True))
    without = repr(show_source(exact.log_partition))
    code = "return float(torch.logsumexp(log_weights(H, beta), 0))"
    assert with_docstring.startswith("def log_partition(H, beta):")
    assert code in with_docstring
    assert code in without
    assert "by enumeration" in with_docstring
    assert '"""' not in without
    html = show_source(exact.log_partition)._repr_html_()
    assert 'class="highlight"' in html
    assert "logsumexp" in html


def test_source_without_a_docstring_and_of_methods_is_shown_too():
    assert "logsumexp" not in repr(show_source(checks._largest_deviation))
    assert repr(show_source(checks._largest_deviation)).startswith("def _largest_deviation(")
    assert repr(show_source(Claim.__post_init__)).startswith("def __post_init__(self):")
