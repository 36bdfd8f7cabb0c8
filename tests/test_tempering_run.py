"""The run of parallel tempering: parameters checked, done once, and true to enumeration."""

import math
from dataclasses import fields

import numpy as np
import pytest

import arnn
from arnn import exact, runs
from arnn.tempering_run import TemperingRun, run_tempering

SMALL = {"n": 8, "beta_start": 0.5, "beta_end": 1.5, "beta_step": 0.5, "samples": 4000}
WRONG = {
    "n": [0, -1, 8.0, "8", None],
    "instance": [-1, 1.5, 2**32],
    "beta_start": [0, math.nan, "1"],
    "beta_end": [0.05, math.inf, None],
    "beta_step": [0, -0.1],
    "samples": [7, 1e4],
    "sweeps": [0, "1"],
    "replicas": [3, 4.0],
    "overlap_betas": [[0.123], "all", 1.0],
    "seed": [-1, 2**32],
    "threads": [-1, 0.5],
    "output": ["", None],
}


def test_every_parameter_has_wrong_values_here():
    assert WRONG.keys() == {field.name for field in fields(TemperingRun)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        TemperingRun(**{name: value})


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown parameter 'steps'; the parameters are beta_end,"):
        TemperingRun.from_namespace({"n": 8, "steps": 3})
    run = TemperingRun.from_namespace({"n": 8, "overlap_betas": [0.5]})
    assert run == TemperingRun(n=8, overlap_betas=(0.5,))


def test_the_ladder_holds_the_temperatures_asked_for():
    run = TemperingRun(n=50)
    assert len(run.betas()) == 39
    assert run.ladder()[0] == 0
    assert all(np.isclose(run.ladder(), beta).any() for beta in run.betas())


def test_the_result_is_that_of_enumeration(tmp_path):
    run = TemperingRun(**SMALL, overlap_betas=(1.0,), output=str(tmp_path / "result"))
    data = run_tempering(run).data
    H, x = arnn.sherrington_kirkpatrick(8, 1), exact.configurations(8)
    assert data["beta"].tolist() == [0.5, 1.0, 1.5]
    for row, beta in enumerate(data["beta"]):
        f = -exact.log_partition(H, beta) / (beta * 8)
        assert abs(data["f"][row] - f) < 4 * data["f_error"][row] < 0.01
        energy = exact.thermodynamics(H, beta).energy / 8
        assert abs(data["energy"][row] - energy) < 4 * data["energy_error"][row]
    p = exact.probabilities(H, 1.0)
    overlaps = ((x @ x.T + 8) / 2).round().long()
    law = np.bincount(overlaps.ravel(), weights=(p[:, None] * p).ravel(), minlength=9)
    assert data["overlap_probability"].shape == data["overlap_error"].shape == (1, 9)
    assert data["overlap_probability"].sum() == pytest.approx(1)
    # Four pairs give the error itself an error of 40 percent, so the sum of squares is taken.
    distance = (data["overlap_probability"][0] - law)[law > 1e-3]
    assert np.sqrt((distance**2).mean()) < 4 * np.sqrt((data["overlap_error"] ** 2).mean())
    assert abs(distance).max() < 0.01


def test_a_finished_run_is_not_repeated_and_another_is_refused(tmp_path, monkeypatch):
    run = TemperingRun(**SMALL | {"samples": 50}, output=str(tmp_path / "result"))
    first = run_tempering(run)
    monkeypatch.setattr("arnn.montecarlo.parallel_tempering", None)  # calling it is a TypeError
    assert run_tempering(run).manifest == first.manifest == runs.verify(tmp_path / "result")
    other = TemperingRun(**SMALL | {"samples": 60}, output=str(tmp_path / "result"))
    with pytest.raises(ValueError, match="holds another run: its samples is 50, not 60"):
        run_tempering(other)
