"""Nets judged on equilibrium samples: the samples of a tempering run, and ln Q of them."""

import json
import shutil

import numpy as np
import pytest
import torch

import arnn
from arnn import equilibrium, exact, records, runs
from arnn.experiments import FreeEnergyRun, run_free_energy
from arnn.tempering_run import TemperingRun, run_tempering

N, INSTANCE, BETA = 12, 3, 2.0


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """The folder of a tempering run that keeps samples at the last temperature."""
    folder = tmp_path_factory.mktemp("tempering") / "result"
    ladder = {"beta_start": 0.5, "beta_step": 0.5, "beta_end": BETA, "overlap_betas": (BETA,)}
    where = {"n": N, "instance": INSTANCE, "threads": 1, "output": str(folder)}
    run_tempering(TemperingRun(samples=4000, **ladder, **where), progress=False)
    return folder


def training(output, judges, **changes):
    """A run that hardly moves the net from its start."""
    options = {
        "model": "sherrington_kirkpatrick",
        "n": N,
        "instance": INSTANCE,
        "net": "SKRSB",
        "beta_start": BETA,
        "beta_end": BETA,
        "steps": 1,
        "batch": 1000,
        "lr": 1e-30,
        "samples": 100,
        "dtype": "float64",
        "device": "cpu",
        "threads": 1,
        "equilibrium": str(judges),
        "output": str(output),
    }
    return FreeEnergyRun(**(options | changes))


def test_the_samples_have_the_boltzmann_distribution(sampled):
    H = arnn.sherrington_kirkpatrick(N, INSTANCE)
    (x,) = equilibrium.kept_spins(sampled, H).values()
    states, p = exact.configurations(N), exact.probabilities(H, BETA)
    place = 2 ** torch.arange(N, dtype=torch.float64)
    numbers, known = ((spins > 0).double() @ place for spins in (x, states))
    seen = torch.bincount(numbers.long(), minlength=2**N)[known.long()] / len(x)
    errors = (p * (1 - p) / len(x)).sqrt()
    likely = p > 0.005  # 10 samples and more
    assert likely.sum() > 10
    assert ((seen - p).abs() < 4.5 * errors)[likely].all()


def test_both_divergences_are_those_of_enumeration(sampled, tmp_path):
    settings = training(tmp_path / "run", sampled, samples=20_000)
    run = run_free_energy(settings, progress=False)
    H, net = settings.make_hamiltonian(), settings.make_net()
    x = equilibrium.kept_spins(sampled, H)[BETA]
    with torch.no_grad():
        expected, of_all = net.log_prob(x), net.log_prob(exact.configurations(N))
    log_q = torch.from_numpy(run.data["equilibrium_log_prob"][0]).double()
    assert torch.allclose(log_q, expected, atol=1e-5)
    (found,) = equilibrium.divergences(run, runs.load(sampled))
    p = exact.probabilities(H, BETA)
    forward = float((p * (p.log() - of_all)).sum())
    backward = float((of_all.exp() * (of_all - p.log())).sum())
    assert found.beta == BETA
    assert abs(found.forward - forward) < 4 * found.forward_error
    assert abs(found.backward - backward) < 4 * found.backward_error
    excess, error = found.excess()
    assert abs(excess - (forward - backward)) < 4 * error
    # The truth moves the two in opposite directions.
    own = found.forward_error**2 + found.backward_error**2 - 2 * found.truth_error**2
    assert error**2 == pytest.approx(own + (2 * found.truth_error) ** 2)
    # Errors so large that zero would pass, or the two could be exchanged, would show nothing.
    assert forward > 8 * found.forward_error
    assert backward > 8 * found.backward_error


def test_samples_of_another_run_are_refused(sampled, tmp_path):
    run = run_free_energy(training(tmp_path / "run", "unused", equilibrium=None), progress=False)
    with pytest.raises(ValueError, match="was not judged on the samples of this tempering run"):
        equilibrium.divergences(run, runs.load(sampled))


def test_a_result_is_known_by_the_samples_and_not_by_their_place(sampled, tmp_path):
    shutil.copytree(sampled, tmp_path / "copy")
    here, there = (training(tmp_path / "run", place) for place in (sampled, tmp_path / "copy"))
    hashed = json.loads((sampled / "manifest.json").read_text())["sha256"]
    assert here.parameters() == there.parameters()
    assert here.parameters()["equilibrium"] == hashed


def test_without_samples_nothing_is_added(tmp_path):
    settings = training(tmp_path / "run", "unused", equilibrium=None)
    assert settings.parameters()["equilibrium"] is None
    assert not [k for k in run_free_energy(settings, progress=False).data if "equilibrium" in k]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instance": 1}, "is of other couplings than the training"),
        ({"n": 7}, "is of other couplings than the training"),
        ({"beta_start": 0.3, "beta_end": 0.3}, "keeps samples at no beta of this run, but at 2$"),
    ],
)
def test_samples_that_do_not_fit_are_refused(sampled, tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"equilibrium .* {message}"):
        run_free_energy(training(tmp_path / "run", sampled, **changes), progress=False)
    assert not list(tmp_path.iterdir())


def test_what_is_no_set_of_samples_is_refused(sampled, tmp_path):
    with pytest.raises(ValueError, match=r"there is no result at .*nowhere"):
        run_free_energy(training(tmp_path / "run", tmp_path / "nowhere"), progress=False)
    trained = training(tmp_path / "trained", sampled)
    run_free_energy(trained, progress=False)
    with pytest.raises(ValueError, match="trained is not the result of a tempering run"):
        run_free_energy(training(tmp_path / "run", trained.output), progress=False)
    without = TemperingRun(n=N, instance=INSTANCE, samples=8, output=str(tmp_path / "without"))
    run_tempering(without, progress=False)
    with pytest.raises(ValueError, match="without keeps no samples"):
        run_free_energy(training(tmp_path / "run", without.output), progress=False)
    assert not (tmp_path / "run").exists()


def test_a_result_has_ln_q_of_the_temperatures_at_which_it_was_judged():
    record = {"beta": 1.0, "curve": (), "seconds": 0.0, "f": 0.0}
    judged = [record | {"equilibrium_log_prob": torch.full((3,), float(k))} for k in range(2)]
    data = records._collect([record, *judged])
    assert data["equilibrium_beta"].tolist() == [1.0, 1.0]
    assert np.array_equal(data["equilibrium_log_prob"], [[0.0] * 3, [1.0] * 3])
