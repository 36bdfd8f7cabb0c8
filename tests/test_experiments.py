"""Heavy runs: parameters checked before any work, done once, and the same bits after a kill."""

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

import arnn
from arnn import estimators, exact, records, runs
from arnn.checkpoints import unsealed
from arnn.experiments import FreeEnergyRun, run_free_energy, trained_net

BOOK = Path(__file__).resolve().parent.parent / "book"
NOTEBOOK, RESULTS = BOOK / "runs" / "free_energy.ipynb", BOOK / "results"


@pytest.fixture(autouse=True)
def threads():
    """The number of threads that a run asks for lasts no longer than its test."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def small(output, **changes):
    options = {
        "n": 6,
        "beta_start": 0.5,
        "beta_end": 1.5,
        "beta_step": 0.5,
        "steps": 4,
        "batch": 30,
        "samples": 80,
        "threads": 1,
        "device": "cpu",
        "output": str(output),
    }
    return FreeEnergyRun(**(options | changes))


def sha256(result):
    return hashlib.sha256((Path(result) / "data.npz").read_bytes()).hexdigest()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- Parameters --------------------------------------------------------------------------------

WRONG = {
    "model": ["ising", 3, None],
    "n": [0, -1, 20.0, "20", True, None],
    "instance": [-1, 1.5, "1", 2**32],
    "couplings": ["x.txt", 3],  # without model "file"
    "sign": ["+", "plus"],
    "base": [0, 1, "0"],
    "coupling": [math.nan, math.inf, "1", None],
    "field": [math.nan, -math.inf, "0", None],
    "net": ["H2", "made", 1, None],
    "depth": [0, 1.0, "2"],
    "width": [0, 2.5, None],
    "k": [-1, 1.0, "1", None, True],
    "init": ["zero", "Released", "physics", 0],
    "method": ["exactly", None],
    "beta_start": [0, -0.1, math.nan, math.inf, "0.1", None, True],
    "beta_end": [0, math.nan, "2", 0.05],
    "beta_step": [0, -0.05, math.nan, "0.05"],
    "steps": [0, -5, 1e3, "1000", None],
    "first_steps": [0, 2.0, "5"],
    "batch": [0, 1, 2e3, "2000"],
    "optimiser": ["sgd", "natural", 1, None],  # MADE has no natural gradient
    "lr": [0, -1e-3, math.nan, "1e-3"],
    "damping": [0, -1e-2, math.nan, "1e-2", None],
    "refresh": [0, 2.5, "20", None],
    "final_lr": [0, -1.0, math.inf, "0"],
    "tolerance": [0, -1e-4, math.nan, "no"],
    "samples": [0, 1, 2e4, None],
    "overlap_betas": [[0.123], ["x"], "all", 1.3, None],
    "equilibrium": ["", 3],
    "keep_net": [0, 1, "yes", None],
    "seed": [-1, 0.5, "0", 2**32, None],
    "dtype": ["float16", "double", None],
    "device": ["gpu", 0, None],
    "threads": [-1, 1.0, "2"],
    "output": ["", None, 5],
}


def test_every_parameter_has_wrong_values_here():
    assert WRONG.keys() == {field.name for field in fields(FreeEnergyRun)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        FreeEnergyRun(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "sherrington_kirkpatrick", "net": "CW_N"},
            "net CW_N .* needs model curie_weiss",
        ),
        (
            {"model": "sherrington_kirkpatrick", "net": "1P", "method": "exact"},
            'by method "exact" needs model curie_weiss',
        ),
        (
            {"net": "SKRSB", "init": "released"},
            "init of SKRSB must be one of physics, paper, not 'released'",
        ),
        (
            {"net": "1L", "init": "paper"},
            "init of 1L must be one of pytorch, released, not 'paper'",
        ),
        (
            {"optimiser": "natural", "net": "MADE"},
            'optimiser "natural" trains 1L or SKRSB or Cavity, not MADE',
        ),
        ({"method": "exact", "net": "SKRSB"}, 'method "exact" trains 1P or CW_inf, not SKRSB'),
        ({"method": "exact", "net": "MADE"}, 'method "exact" trains 1P or CW_inf, not MADE'),
        ({"samples": 39, "overlap_betas": (0.1,)}, "samples must be at least 40 for the overlaps"),
        ({"beta_start": 0.5, "beta_end": 0.4}, "beta_end must be at least beta_start, not 0.4 < 0"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FreeEnergyRun(**options)


def test_the_gpu_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="device cuda was asked for, and there is none"):
        FreeEnergyRun(device="cuda")
    assert FreeEnergyRun().place() == torch.device("cpu")


def test_names_of_a_notebook_make_a_run():
    run = FreeEnergyRun.from_namespace(
        {"n": 8, "net": "1L", "overlap_betas": [0.5], "_": 3, "_i1": "n = 8", "In": [], "Out": {}}
        | {"np": np, "exit": print, "__name__": "__main__"}
    )
    assert run == FreeEnergyRun(n=8, net="1L", overlap_betas=(0.5,))


@pytest.mark.parametrize("name", ["betas", "nets", "learning_rate", "N"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    message = rf"unknown parameter '{name}'; the parameters are base, .*, width"
    with pytest.raises(ValueError, match=message):
        FreeEnergyRun.from_namespace({"n": 8, name: 1})


def test_the_schedule_of_the_paper_has_39_temperatures():
    betas = FreeEnergyRun().betas()
    assert len(betas) == 39
    assert betas == pytest.approx([0.1 + 0.05 * k for k in range(39)], abs=1e-12)
    assert betas[-1] == 2.0
    assert 1.3 in betas  # no rounding left over


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [(1.0, 1.0, 0.5, [1.0]), (0.5, 1.4, 0.5, [0.5, 1.0]), (0.1, 0.3, 0.1, [0.1, 0.2, 0.3])],
)
def test_the_temperatures_end_at_the_end(start, end, step, expected):
    run = FreeEnergyRun(beta_start=start, beta_end=end, beta_step=step)
    assert run.betas() == expected


def test_the_parameters_of_a_result_say_what_not_where():
    run = FreeEnergyRun(overlap_betas=(1.3,))
    known = {field.name for field in fields(run)}
    assert run.parameters().keys() == known - {"output", "threads", "device"}
    assert json.loads(json.dumps(run.parameters())) == run.parameters()


def test_the_start_of_a_net_is_its_own_unless_another_is_chosen():
    """Results are older than the choice for SKRSB: those of all other nets say "pytorch"."""
    assert FreeEnergyRun(net="1L").parameters()["init"] == "pytorch"
    assert FreeEnergyRun(init="released").parameters()["init"] == "released"
    assert FreeEnergyRun(net="SKRSB").parameters()["init"] == "physics"
    net = FreeEnergyRun(net="SKRSB", model="sherrington_kirkpatrick", k=2, n=5).make_net()
    assert repr(net) == "SKRSB(n=5, k=2)"
    assert (net.weights[1] == 1).all()  # the physics start has unit weights inside
    paper = FreeEnergyRun(net="SKRSB", k=2, n=5, init="paper", seed=4)
    assert not torch.equal(paper.make_net().bias, FreeEnergyRun(net="SKRSB", n=5).make_net().bias)
    assert torch.equal(paper.make_net().bias, paper.make_net().bias)


def stored_parameters():
    """Folder -> parameters of the stored results that a net was trained for."""
    manifests = sorted(RESULTS.glob("*/manifest.json"))
    found = {path.parent: json.loads(path.read_text())["parameters"] for path in manifests}
    return {folder: parameters for folder, parameters in found.items() if "net" in parameters}


@pytest.mark.parametrize(
    ("folder", "stored"), stored_parameters().items(), ids=lambda value: getattr(value, "name", "")
)
def test_a_stored_result_is_of_a_run_that_can_be_asked_for(folder, stored):
    """The same command finds it and does not work again, whatever parameters came later."""
    given = stored | {"overlap_betas": tuple(stored["overlap_betas"])}
    if stored.get("equilibrium"):  # a result names the samples by their hash, the command by folder
        tempering = f"sk_n{stored['n']}_s{stored['instance']}_tempering"
        given["equilibrium"] = str(RESULTS / tempering)
    run = FreeEnergyRun(**given)
    assert runs.finished(folder, run.parameters(), FreeEnergyRun().parameters())


# ---- Runs --------------------------------------------------------------------------------------


def test_a_run_records_each_temperature(tmp_path):
    run = small(tmp_path / "result", net="CW_N", overlap_betas=(1.0,), dtype="float64", n=8)
    data = run_free_energy(run, progress=False).data
    assert data["beta"].tolist() == [0.5, 1.0, 1.5]
    for beta, f, f_importance in zip(data["beta"], data["f"], data["f_importance"], strict=True):
        true = exact.curie_weiss_free_energy(8, beta)
        assert f == pytest.approx(true, abs=1e-12)
        assert f_importance == pytest.approx(true, abs=1e-12)
    assert data["effective_samples"] == pytest.approx(80, rel=1e-9)
    assert data["overlap_beta"].tolist() == [1.0]
    assert data["overlap_probability"].shape == data["overlap_error"].shape == (1, 9)
    assert data["overlap_probability"].sum() == pytest.approx(1)


def test_the_kept_samples_are_those_of_the_estimates(tmp_path):
    options = {"model": "sherrington_kirkpatrick", "net": "1L", "n": 11, "samples": 2000}
    run = small(tmp_path / "result", overlap_betas=(0.5, 1.5), **options)
    data = run_free_energy(run, progress=False).data
    assert data["kept_spins"].shape == (2, 2000, 2)
    assert data["kept_spins"].dtype == np.uint8
    for row, beta in enumerate(run.overlap_betas):
        x = runs.unpack_spins(data["kept_spins"][row], 11)
        law = estimators.overlap_distribution(x, blocks=records.OVERLAP_BLOCKS)
        np.testing.assert_allclose(law.probability, data["overlap_probability"][row], atol=1e-12)
        H = arnn.sherrington_kirkpatrick(11, 1)
        f = (torch.as_tensor(data["kept_log_prob"][row]) / beta + H.energy(x)) / 11
        at = data["beta"].tolist().index(beta)
        error = math.hypot(float(f.std()) / math.sqrt(2000), data["f_error"][at])
        assert abs(float(f.mean()) - data["f"][at]) < 4 * error


def test_a_run_by_the_exact_method_records_the_exact_divergence(tmp_path):
    run = small(tmp_path / "result", net="CW_inf", method="exact", dtype="float64")
    data = run_free_energy(run, progress=False).data
    for beta, f, kl in zip(data["beta"], data["f"], data["kl"], strict=True):
        true = exact.curie_weiss_free_energy(6, beta)
        assert kl == pytest.approx((f - true) * beta * 6, abs=1e-11)
        assert kl > 1e-9
    assert (data["gradient"] < 1e-5).all()


def test_curves_that_ended_early_are_filled_up(tmp_path):
    early = {"net": "1P", "coupling": 0.0, "tolerance": 1e-6, "dtype": "float64"}
    run = small(tmp_path / "result", first_steps=5, **early)
    data = run_free_energy(run, progress=False).data
    assert data["curve"].shape == (3, 1)
    run = small(tmp_path / "other", first_steps=5)
    curves = run_free_energy(run, progress=False).data["curve"]
    assert np.isfinite(curves).sum(1).tolist() == [5, 4, 4]


@pytest.mark.parametrize(
    "options",
    [
        {"net": "MADE", "width": 1, "overlap_betas": (1.5,)},
        {"net": "1L", "model": "sherrington_kirkpatrick", "instance": 3},
        {"net": "CW_inf", "field": 0.1},
        {"net": "SKRSB", "model": "sherrington_kirkpatrick", "k": 1, "init": "paper"},
        {"net": "SKRSB", "model": "sherrington_kirkpatrick", "optimiser": "natural"},
        {"net": "Cavity", "model": "sherrington_kirkpatrick", "depth": 3, "optimiser": "natural"},
        {"net": "CW_inf", "method": "exact"},
    ],
)
def test_the_same_run_gives_the_same_bits(tmp_path, options):
    first = run_free_energy(small(tmp_path / "first", **options), progress=False)
    again = run_free_energy(small(tmp_path / "again", **options), progress=False)
    assert first.manifest["sha256"] == again.manifest["sha256"] == sha256(tmp_path / "again")
    assert left_in(tmp_path) == ["again", "first"]


def test_the_seed_and_the_instance_decide(tmp_path):
    options = {"model": "sherrington_kirkpatrick", "net": "1L"}
    hashes = {
        run_free_energy(small(tmp_path / str(k), **options, **changes), progress=False).manifest[
            "sha256"
        ]
        for k, changes in enumerate(({}, {"seed": 1}, {"instance": 2}))
    }
    assert len(hashes) == 3


def test_a_finished_run_is_not_repeated(tmp_path, monkeypatch):
    run = small(tmp_path / "result")
    first = run_free_energy(run, progress=False)
    before = (tmp_path / "result" / "manifest.json").read_bytes()

    def never(*_args, **_kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr("arnn.training.minimise_free_energy", never)
    again = run_free_energy(run, progress=False)
    assert again.manifest == first.manifest
    assert (tmp_path / "result" / "manifest.json").read_bytes() == before


def test_an_output_that_holds_another_run_is_refused(tmp_path):
    run_free_energy(small(tmp_path / "result"), progress=False)
    before = sha256(tmp_path / "result")
    with pytest.raises(ValueError, match=r"output .*result holds another run: its n is 6, not 7"):
        run_free_energy(small(tmp_path / "result", n=7), progress=False)
    assert sha256(tmp_path / "result") == before
    assert left_in(tmp_path) == ["result"]


def test_a_damaged_result_is_refused_and_not_written_over(tmp_path):
    run_free_energy(small(tmp_path / "result"), progress=False)
    data = tmp_path / "result" / "data.npz"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"result .*result is damaged"):
        run_free_energy(small(tmp_path / "result"), progress=False)


def test_an_output_below_a_file_is_refused_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("arnn.records._train", None)  # calling it would be a TypeError
    with pytest.raises(ValueError, match=r"output .*file/result cannot be written"):
        run_free_energy(small(tmp_path / "file" / "result"), progress=False)
    assert left_in(tmp_path) == ["file"]


def test_the_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("arnn.runs.save", None)  # a kill after training, before the result
        with pytest.raises(TypeError):
            run_free_energy(small(tmp_path / "result"), progress=False)
    assert left_in(tmp_path) == ["result.checkpoint"]
    for changes, message in (
        ({"steps": 5}, "its steps is 4, not 5"),
        ({"seed": 1}, "its seed is 0, not 1"),
        # What the records and the first weights depend on, though training as such does not.
        ({"samples": 81}, "its samples is 80, not 81"),
        ({"overlap_betas": (1.0,)}, r"its overlap_betas is \[\], not \[1.0\]"),
        ({"init": "released"}, "its init is pytorch, not released"),
    ):
        with pytest.raises(ValueError, match=rf"checkpoint .* is of another run: {message}"):
            run_free_energy(small(tmp_path / "result", **changes), progress=False)
    run_free_energy(small(tmp_path / "result"), progress=False)
    assert left_in(tmp_path) == ["result"]


def test_diverging_training_leaves_no_result(tmp_path):
    run = small(tmp_path / "result", lr=1e30)
    with pytest.raises(FloatingPointError, match=r"the free energy became nan at beta = 0.5, step"):
        run_free_energy(run, progress=False)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ({"net": "MADE", "lr": 1e30, "steps": 1}, "became nan at beta = 1, after the last step"),
        # A step so large that the net is left with one configuration, which is no better than any.
        (
            {"net": "MADE", "lr": 10, "steps": 1, "model": "sherrington_kirkpatrick", "n": 100},
            r"became -?0\.[01]\d* at beta = 1, after the last step",
        ),
        (
            {"net": "CW_inf", "method": "exact", "coupling": 1e308},
            "the exact free energy became nan at beta = 1",
        ),
    ],
)
def test_what_only_the_last_step_or_an_exact_sum_has_lost_is_not_saved(tmp_path, lost, message):
    settings = {"n": 8, "beta_start": 1.0, "beta_end": 1.0, "samples": 100, "batch": 50} | lost
    run = FreeEnergyRun(**settings, output=str(tmp_path / "result"))
    with pytest.raises(FloatingPointError, match=message):
        run_free_energy(run, progress=False)
    assert left_in(tmp_path) == []


# ---- The net itself ----------------------------------------------------------------------------

EVERY_NET = {
    "1P": {},
    "1P, exact": {"net": "1P", "method": "exact"},
    "1L": {"optimiser": "natural"},
    "MADE": {"init": "released"},
    "CW_N": {},
    "CW_inf": {},
    "SKRSB": {"k": 1, "optimiser": "natural", "model": "sherrington_kirkpatrick"},
    "SKRSB, paper": {"net": "SKRSB", "init": "paper", "model": "sherrington_kirkpatrick"},
    "Cavity": {"dtype": "float64", "model": "sherrington_kirkpatrick"},
}


@pytest.mark.parametrize("name", EVERY_NET)
def test_the_net_that_is_kept_gives_the_samples_their_probabilities(tmp_path, name):
    given = {"net": name} | EVERY_NET[name] | {"overlap_betas": (1.0, 1.5), "keep_net": True}
    run = run_free_energy(small(tmp_path / "result", **given), progress=False)
    net = trained_net(runs.load(tmp_path / "result"))
    of_the_first, of_the_last = (
        net.log_prob(runs.unpack_spins(spins, net.n).to(net.dtype)).detach().float().numpy()
        for spins in run.data["kept_spins"]
    )
    assert of_the_last == pytest.approx(run.data["kept_log_prob"][1], abs=1e-4)
    assert np.abs(of_the_first - run.data["kept_log_prob"][0]).max() > 1e-2  # it was another net


def test_a_run_that_was_taken_up_keeps_the_same_net(tmp_path):
    whole = run_free_energy(small(tmp_path / "whole", keep_net=True), progress=False)
    interrupted = small(tmp_path / "result", keep_net=True)
    checkpoint = tmp_path / "result.checkpoint"
    records.trained(interrupted, checkpoint, progress=False)  # a kill before the result is saved
    again = run_free_energy(interrupted, progress=False)
    kept = [name for name in whole.data if name.startswith("net.")]
    assert kept
    for name in kept:
        assert (again.data[name] == whole.data[name]).all()


def test_a_run_that_kept_no_net_says_so(tmp_path):
    run = run_free_energy(small(tmp_path / "result"), progress=False)
    with pytest.raises(ValueError, match="the run has kept no net; ask for it with keep_net=True"):
        trained_net(run)
    with pytest.raises(ValueError, match="holds another run: its keep_net is False, not True"):
        run_free_energy(small(tmp_path / "result", keep_net=True), progress=False)


# ---- A kill ------------------------------------------------------------------------------------

SCRIPT = """
import sys
from arnn.experiments import FreeEnergyRun, run_free_energy
run_free_energy(FreeEnergyRun(**eval(sys.argv[1])), progress=False)
"""


def test_a_run_that_is_killed_ends_with_the_same_bits(tmp_path):
    options = {
        "n": 8,
        "net": "MADE",
        "beta_start": 0.2,
        "beta_end": 2.0,
        "beta_step": 0.2,
        "steps": 60,
        "batch": 60,
        "samples": 200,
        "overlap_betas": [0.4, 1.6],
        "threads": 1,
        "device": "cpu",
    }
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    checkpoint = tmp_path / "killed.checkpoint"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, repr({**options, "output": str(killed)})],
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
    done = len(unsealed(checkpoint.read_bytes())["records"])
    assert 1 <= done < 10, "the kill did not fall into the middle of the run"
    assert not killed.exists()

    options["overlap_betas"] = tuple(options["overlap_betas"])
    run_free_energy(FreeEnergyRun(**options, output=str(killed)), progress=False)
    run_free_energy(FreeEnergyRun(**options, output=str(undisturbed)), progress=False)
    assert sha256(killed) == sha256(undisturbed)
    assert runs.verify(killed)["parameters"] == runs.verify(undisturbed)["parameters"]
    assert left_in(tmp_path) == ["killed", "undisturbed"]


# ---- The notebook ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"betas": [1.0]}, "unknown parameter 'betas'"),
        ({"n": 0}, "n must be an integer of at least"),
    ],
)
def test_a_wrong_parameter_stops_the_notebook_before_any_work(tmp_path, wrong, message):
    parameters = {"n": 5, "steps": 1, "output": str(tmp_path / "result")}
    with pytest.raises(PapermillExecutionError, match=message):
        papermill.execute_notebook(
            NOTEBOOK,
            tmp_path / "executed.ipynb",
            parameters=parameters | wrong,
            kernel_name="python3",
            progress_bar=False,
        )
    assert left_in(tmp_path) == ["executed.ipynb"]
    cells = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells
    not_run = [cell for cell in cells if "run_free_energy(run" in cell.source]
    assert not_run
    assert all(cell.execution_count is None for cell in not_run)
