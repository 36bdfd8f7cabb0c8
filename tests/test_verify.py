"""`make verify` sees results whose data and parameters do not fit together."""

import subprocess
import sys

import pytest
import verify

from arnn import runs
from arnn.experiments import FreeEnergyRun, run_free_energy
from arnn.inverse_run import InverseRun, run_inverse
from arnn.tempering_run import TemperingRun, run_tempering

TRAINED = {"beta_start": 0.5, "beta_step": 0.5, "steps": 5, "batch": 50, "samples": 4000}
SK = TRAINED | {"model": "sherrington_kirkpatrick", "n": 9, "net": "SKRSB"}
SPINS = {"overlap_betas": (1.0, 2.0)}
MADE = {
    "samples": (FreeEnergyRun(**SK, **SPINS), run_free_energy),
    "identity": (FreeEnergyRun(**TRAINED, n=9), run_free_energy),
    "exact": (FreeEnergyRun(**TRAINED, n=9, net="1P", method="exact"), run_free_energy),
    "exact, sampled": (
        FreeEnergyRun(**TRAINED, n=9, net="1P", method="exact", **SPINS),
        run_free_energy,
    ),
    "tempering": (TemperingRun(n=9, samples=4000, **SPINS), run_tempering),
    "inverse": (
        InverseRun(n=9, samples=120, held_out=40, truth_samples=50, steps=40, evaluations=4),
        run_inverse,
    ),
}
# For each a number that verify works out, and one that a wrong manifest could have.
STORED = {
    "samples": "f",
    "identity": "f",
    "exact": "f",
    "exact, sampled": "f",
    "tempering": "energy",
}
OTHER = {"samples": ("instance", 2), "exact": ("coupling", 1.1), "tempering": ("instance", 2)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A toy result of each kind, by name."""
    folder = tmp_path_factory.mktemp("results")
    found = {}
    for name, (settings, work) in MADE.items():
        given = {**settings.__dict__, "output": str(folder / name)}
        found[name] = work(type(settings)(**given), progress=False)
    return found


def saved(result, path, **data):
    """The same result somewhere else, with other data; its hash fits."""
    parameters = result.manifest["parameters"]
    runs.save(path, result.data | data, parameters, wall_time=1, device="cpu")
    return path


@pytest.mark.parametrize("name", MADE)
def test_a_good_result_passes(results, name, tmp_path):
    number = verify.verify(saved(results[name], tmp_path / "x"))
    assert number.from_samples == (name in ("samples", "exact, sampled", "tempering"))


@pytest.mark.parametrize("name", STORED)
def test_a_wrong_number_is_seen(results, name, tmp_path):
    wrong = results[name].data[STORED[name]] - 0.05
    path = saved(results[name], tmp_path / "x", **{STORED[name]: wrong})
    with pytest.raises(ValueError, match=r"result .*x does not fit together: .* is stored$"):
        verify.verify(path)


def test_a_wrong_first_layer_is_seen(results, tmp_path):
    other = results["inverse"].data["first_layer"][::-1].copy()
    with pytest.raises(ValueError, match="correlation of"):
        verify.verify(saved(results["inverse"], tmp_path / "x", first_layer=other))


@pytest.mark.parametrize("name", OTHER)
def test_a_wrong_parameter_is_seen(results, name, tmp_path):
    key, value = OTHER[name]
    manifest = results[name].manifest["parameters"] | {key: value}
    runs.save(tmp_path / "x", results[name].data, manifest, wall_time=1, device="cpu")
    with pytest.raises(ValueError, match="does not fit together"):
        verify.verify(tmp_path / "x")


def test_other_temperatures_and_missing_data_are_seen(results, tmp_path):
    data = results["samples"].data
    path = saved(results["samples"], tmp_path / "x", beta=data["beta"] + 0.1)
    with pytest.raises(ValueError, match="its temperatures are not those of its parameters"):
        verify.verify(path)
    less = {name: data[name] for name in data if name != "kept_log_prob"}
    runs.save(
        tmp_path / "y", less, results["samples"].manifest["parameters"], wall_time=1, device="cpu"
    )
    with pytest.raises(ValueError, match="lacks the data of its run: 'kept_log_prob'"):
        verify.verify(tmp_path / "y")


def test_the_command_names_what_is_wrong_and_goes_on(results, tmp_path):
    good = saved(results["samples"], tmp_path / "good")
    bad = saved(results["exact"], tmp_path / "bad", f=results["exact"].data["f"] + 1)
    call = [sys.executable, verify.__file__, str(bad), str(good)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"result {bad} does not fit together" in done.stderr
    assert "1 of 2 results are whole and fit together; in 1 of" in done.stdout
