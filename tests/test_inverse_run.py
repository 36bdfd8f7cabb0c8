"""The run of the inverse problem: checked before any work, and the same bits after a kill."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
import torch
from papermill.exceptions import PapermillExecutionError

from arnn import exact, runs
from arnn.checkpoints import unsealed
from arnn.inverse import correlation
from arnn.inverse_run import InverseRun, correlations, draw, restore, run_inverse

NOTEBOOK = Path(__file__).resolve().parent.parent / "book" / "runs" / "inverse.ipynb"


@pytest.fixture(autouse=True)
def threads():
    """The number of threads that a run asks for lasts no longer than its test."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SMALL = {
    "n": 10,
    "beta": 1.0,
    "samples": 400,
    "held_out": 120,
    "burn_in": 50,
    "truth_samples": 400,
    "steps": 60,
    "batch": 40,
    "evaluations": 4,
    "threads": 1,
}


def small(output, **changes):
    return InverseRun(**(SMALL | {"output": str(output)} | changes))


def sha256(result):
    return hashlib.sha256((Path(result) / "data.npz").read_bytes()).hexdigest()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- Parameters --------------------------------------------------------------------------------

WRONG = {
    "n": [0, 2, 20.0, "20", True, None],
    "instance": [-1, 1.5, 2**32],
    "beta": [0, -1, math.nan, "2"],
    "k": [-1, 1.0, None],
    "sampler": ["gibbs", None],
    "samples": [0, 31, 1e4],
    "held_out": [0, 31, None],
    "sweeps": [0, 1.5],
    "burn_in": [-1, "0"],
    "truth_samples": [7, None],
    "steps": [0, 1e3],
    "batch": [0, 10_001, None],
    "lr": [0, math.inf],
    "final_lr": [0, None],
    "evaluations": [0, 2.0],
    "keep_all": [1, "yes", None],
    "seed": [-1, 2**32],
    "threads": [-1, 1.0],
    "output": ["", None, 5],
}


def test_every_parameter_has_wrong_values_here():
    assert WRONG.keys() == {field.name for field in fields(InverseRun)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        InverseRun(**{name: value})


def test_names_of_a_notebook_make_a_run():
    run = InverseRun.from_namespace({"n": 8, "keep_all": True, "_": 3, "In": [], "np": np})
    assert run == InverseRun(n=8, keep_all=True)
    with pytest.raises(ValueError, match=r"unknown parameter 'N'; the parameters are batch, .*"):
        InverseRun.from_namespace({"N": 8})


def test_the_parameters_of_a_result_say_what_not_where():
    run = InverseRun()
    known = {field.name for field in fields(run)}
    assert run.parameters().keys() == known - {"output", "threads"}
    assert json.loads(json.dumps(run.parameters())) == run.parameters()


def test_the_defaults_are_the_setting_of_figure_6():
    run = InverseRun()
    assert (run.n, run.beta, run.k, run.samples) == (100, 2.0, 1, 10_000)
    net = run.make_net()
    # The paper's "60,000 parameters": 49,700 and the 100 x 100 numbers of the first layer.
    shown = sum(p.numel() for p in net.parameters()) - net.omega.numel()
    assert shown + net.n == 49_700 + 100 * 100
    assert net.couplings.abs().max() < 0.1 * run.make_hamiltonian().couplings.abs().max()


def test_the_penalty_is_the_prior_of_the_couplings():
    """exp(-M l2 sum (beta J)^2) is a Gaussian of variance 1/n in J."""
    run = InverseRun(n=50, beta=1.5, samples=2000)
    J = 0.3
    assert run.samples * run.penalty() * (run.beta * J) ** 2 == pytest.approx(J**2 * 50 / 2)


# ---- Samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["parallel_tempering", "metropolis"])
def test_samples_follow_the_boltzmann_distribution(tmp_path, sampler):
    run = small(tmp_path, sampler=sampler, samples=4000, n=6)
    H = run.make_hamiltonian()
    truth = exact.thermodynamics(H, run.beta)
    for part, count in enumerate((4000, 120)):
        drawn = draw(run, H, part)
        assert drawn.x.shape == (count, 6)
        assert set(np.unique(drawn.x)) == {-1, 1}
        assert abs(drawn.energy - truth.energy / 6) < 4 * drawn.energy_error
    x = draw(run, H, 0).x.astype(float)
    assert abs(x.T @ x / len(x) - truth.correlations.numpy()).max() < 0.1
    assert not np.array_equal(x[:120], draw(run, H, 1).x)


def test_the_paper_s_chain_begins_at_a_random_start(tmp_path):
    options = {"sampler": "metropolis", "burn_in": 0, "sweeps": 1, "n": 100, "beta": 2.0}
    run = small(tmp_path, samples=60, **options)
    H = run.make_hamiltonian()
    energy = H.energy(torch.from_numpy(draw(run, H, 0).x).double()) / 100
    assert energy[0] > energy[-20:].mean() + 0.1


# ---- Runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["parallel_tempering", "metropolis"])
def test_a_run_records_what_it_found(tmp_path, sampler):
    run = small(tmp_path / "result", sampler=sampler, keep_all=True)
    result = run_inverse(run, progress=False)
    data, H = result.data, run.make_hamiltonian()
    truth = exact.thermodynamics(H, run.beta)
    assert abs(data["energy"] - truth.energy / 10) < 4 * data["energy_error"]
    f = -truth.log_partition / 10
    assert abs(data["f"] - f) < 4 * data["f_error"]
    assert abs(data["entropy"] - truth.entropy / 10) < 4 * data["entropy_error"]
    assert data["step"].tolist() == [15, 30, 45, 60]
    assert data["curve"].shape == (60,)
    net, samples, held_out = restore(result)
    assert torch.equal(samples, torch.from_numpy(draw(run, H, 0).x).float())
    kept = data["held_out"].argmin()
    assert data["kept_step"] == data["step"][kept]
    loss = -net.log_prob(held_out).double().mean().item()
    assert loss == pytest.approx(data["held_out"][kept], rel=1e-6)
    for name, value in correlations(net, H.couplings).items():
        assert value == pytest.approx(data[name][kept], abs=1e-6)
    # The law is learned, and its couplings are found by the regression.
    assert data["held_out"][kept] < data["held_out"][0]
    assert correlation(data["pseudo_likelihood"], H.couplings) > 0.9


def test_a_small_result_holds_the_first_layer_only(tmp_path):
    result = run_inverse(small(tmp_path / "result"), progress=False)
    assert result.data["first_layer"].shape == (10, 10)
    assert not {"samples", "weights"} & result.data.keys()
    with pytest.raises(ValueError, match="the result holds the first layer only; run it with keep"):
        restore(result)


def test_the_same_run_gives_the_same_bits_and_others_do_not(tmp_path):
    first = run_inverse(small(tmp_path / "first", keep_all=True), progress=False)
    again = run_inverse(small(tmp_path / "again", keep_all=True), progress=False)
    assert first.manifest["sha256"] == again.manifest["sha256"] == sha256(tmp_path / "again")
    for k, changes in enumerate(({"seed": 1}, {"instance": 2}, {"k": 0}, {"sweeps": 9})):
        other = run_inverse(small(tmp_path / str(k), keep_all=True, **changes), progress=False)
        assert other.manifest["sha256"] != first.manifest["sha256"]


def test_a_finished_run_is_not_repeated_and_another_refused(tmp_path, monkeypatch):
    first = run_inverse(small(tmp_path / "result"), progress=False)
    with monkeypatch.context() as patch:
        patch.setattr("arnn.inverse_run.maximise_likelihood", None)
        again = run_inverse(small(tmp_path / "result"), progress=False)
    assert again.manifest == first.manifest
    with pytest.raises(ValueError, match=r"holds another run: its beta is 1.0, not 1.5"):
        run_inverse(small(tmp_path / "result", beta=1.5), progress=False)


SCRIPT = """
import sys
from arnn.inverse_run import InverseRun, run_inverse
run_inverse(InverseRun(**eval(sys.argv[1])), progress=False)
"""


def test_a_run_that_is_killed_ends_with_the_same_bits(tmp_path):
    changes = {"steps": 1500, "evaluations": 60, "keep_all": True}
    killed, checkpoint = tmp_path / "killed", tmp_path / "killed.checkpoint"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, repr(SMALL | changes | {"output": str(killed)})],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        deadline = time.monotonic() + 300
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    (history,) = unsealed(checkpoint.read_bytes())["records"]
    assert 1 <= len(history["evaluations"]) < 60, "the kill did not fall into the run"
    assert not killed.exists()
    run_inverse(small(killed, **changes), progress=False)
    run_inverse(small(tmp_path / "undisturbed", **changes), progress=False)
    assert sha256(killed) == sha256(tmp_path / "undisturbed")
    assert runs.verify(killed)["parameters"] == runs.verify(tmp_path / "undisturbed")["parameters"]
    assert left_in(tmp_path) == ["killed", "undisturbed"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"Beta": 1.0}, "unknown parameter 'Beta'"), ({"beta": 0}, "beta must be a positive")],
)
def test_a_wrong_parameter_stops_the_notebook_before_any_work(tmp_path, wrong, message):
    parameters = SMALL | {"output": str(tmp_path / "result")} | wrong
    with pytest.raises(PapermillExecutionError, match=message):
        papermill.execute_notebook(
            NOTEBOOK,
            tmp_path / "executed.ipynb",
            parameters=parameters,
            kernel_name="python3",
            progress_bar=False,
        )
    assert left_in(tmp_path) == ["executed.ipynb"]
    cells = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells
    not_run = [cell for cell in cells if "run_inverse(run" in cell.source]
    assert not_run
    assert all(cell.execution_count is None for cell in not_run)
