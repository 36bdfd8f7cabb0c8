"""The stored runs of the inverse problem: in equilibrium, and as good as the book says they are."""

from pathlib import Path

import numpy as np
import pytest

import arnn
from arnn import runs
from arnn.inverse import align_rows, correlation
from arnn.inverse_run import restore

RESULTS = Path(__file__).resolve().parent.parent / "book" / "results"
FOLDERS = sorted(RESULTS.glob("inverse_*"))
MAIN = RESULTS / "inverse_b20_m10000"
# Correlations of the weights released with the paper: |w| with |J|, and after the rows' signs.
RELEASED = {"absolute": 0.64, "signed": 0.83}


def kept(data):
    return int(np.flatnonzero(data["step"] == data["kept_step"])[0])


def estimates(run):
    """The true couplings, the direct weights in their units, and the regression."""
    settings = run.manifest["parameters"]
    couplings = arnn.sherrington_kirkpatrick(settings["n"], settings["instance"]).couplings.numpy()
    direct = run.data["omega"] * run.data["first_layer"] / (2 * settings["beta"])
    return couplings, direct, run.data["pseudo_likelihood"]


def test_there_are_runs():
    assert MAIN in FOLDERS
    assert len(FOLDERS) > 8


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_samples_have_the_energy_of_equilibrium(folder):
    data = runs.load(folder).data
    error = np.hypot(data["sample_energy_error"], data["energy_error"])
    assert abs(data["sample_energy"] - data["energy"]) < 3 * error
    assert error < 2e-3


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_stored_correlations_are_those_of_the_stored_weights(folder):
    run = runs.load(folder)
    couplings, direct, regression = estimates(run)
    w, now = run.data["first_layer"], kept(run.data)
    rows = align_rows(w, couplings)
    for name, value in {
        "absolute": correlation(w, couplings, absolute=True),
        "signed": correlation(rows.signed, couplings),
        "scaled": correlation(rows.scaled, couplings),
        "direct": correlation(direct, couplings),
    }.items():
        assert run.data[name][now] == pytest.approx(value, abs=1e-5)
    # No network recovers the couplings as well as the regression does, on any of the samples.
    assert correlation(regression, couplings) > correlation(direct, couplings) + 0.01


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_held_out_loss_lies_above_the_entropy(folder):
    run = runs.load(folder)
    data, n = run.data, run.manifest["parameters"]["n"]
    error = np.hypot(data["held_out_error"], n * data["entropy_error"])
    assert (data["held_out"] > n * data["entropy"] - 4 * error).all()


def test_figure_6_is_reproduced_from_equilibrium_samples():
    run = runs.load(MAIN)
    data, now = run.data, kept(run.data)
    assert data["energy"] == pytest.approx(-0.635, abs=2e-3)
    assert data["absolute"][now] > RELEASED["absolute"]
    assert data["signed"][now] > RELEASED["signed"]
    net, samples, held_out = restore(run)
    assert samples.shape == (10_000, 100)
    loss = -net.log_prob(held_out).double().mean().item()
    assert loss == pytest.approx(data["held_out"][now], abs=1e-3)


def test_more_samples_help_the_regression_more_than_the_network():
    found = []
    for name in ("m1000", "m3000", "b20_m10000", "m30000"):
        couplings, direct, regression = estimates(runs.load(RESULTS / f"inverse_{name}"))
        found.append([correlation(direct, couplings), correlation(regression, couplings)])
    network, regression = np.array(found).T
    assert (np.diff(network) > 0).all()
    assert (np.diff(regression) > 0).all()
    assert regression[-1] > 0.97
    assert network[-1] < 0.9
