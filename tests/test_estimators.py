"""Estimates from samples: right on average, with errors that are what they say."""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import estimators, exact
from arnn.nets import H2ARNN, MADE, CurieWeissN, OneParameter


def random_hamiltonian(n, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(0.6 * rng.normal(size=(n, n)), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.3 * rng.normal(size=n))


def random_net(n, seed):
    return MADE(n, 2, 2, generator=torch.Generator().manual_seed(seed))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(4))
def test_estimates_agree_with_enumeration(seed):
    n, beta = 6, 0.8
    H, net = random_hamiltonian(n, seed), random_net(n, seed)
    result = estimators.free_energy(net, H, beta, 20_000, generator=seeded(seed))
    x = exact.configurations(n)
    log_q = net.log_prob(x).detach()
    q, energy = log_q.exp(), H.energy(x)
    true = -exact.log_partition(H, beta) / (beta * n)
    variational = exact.variational_free_energy(net, H, beta).beta_free_energy.item() / (beta * n)
    assert variational > true + 0.01
    assert abs(result.f - variational) < 4 * result.f_error
    assert result.f > true
    assert abs(result.f_importance - true) < 4 * result.f_importance_error
    for name, values in (("energy", energy / n), ("entropy", -log_q / n)):
        mean = float(q @ values)
        error = math.sqrt(float(q @ (values - mean) ** 2) / 20_000)
        assert abs(getattr(result, name) - mean) < 4 * error
    assert result.f == pytest.approx(result.energy - result.entropy / beta, abs=1e-12)
    # (sum w)^2 / sum w^2 over samples, in the limit of many
    weights = (-beta * energy - log_q).exp()
    effective = float((q @ weights) ** 2 / (q @ weights**2))
    assert result.effective_samples / 20_000 == pytest.approx(effective, rel=0.1)
    assert result.samples == 20_000


def test_the_stated_errors_are_honest():
    """Over 200 repetitions the deviations, in units of the stated errors, have variance one."""
    n, beta = 6, 0.6
    H = random_hamiltonian(n, 7)
    net = H2ARNN(H, 0.8 * beta)  # near the truth, so that the weights have a variance to estimate
    true = -exact.log_partition(H, beta) / (beta * n)
    variational = exact.variational_free_energy(net, H, beta).beta_free_energy.item() / (beta * n)
    generator, pulls = seeded(0), []
    for _ in range(200):
        result = estimators.free_energy(net, H, beta, 500, generator=generator)
        pulls.append(
            (
                (result.f - variational) / result.f_error,
                (result.f_importance - true) / result.f_importance_error,
            )
        )
    pulls = np.array(pulls)
    assert ((pulls.std(0) > 0.8) & (pulls.std(0) < 1.2)).all()
    assert (np.abs(pulls.mean(0)) < 4 / math.sqrt(200)).all()


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_an_exact_net_wastes_no_sample(beta):
    H = random_hamiltonian(6, 1)
    result = estimators.free_energy(H2ARNN(H, beta), H, beta, 700, generator=seeded(1))
    assert result.effective_samples == pytest.approx(700, rel=1e-10)
    true = -exact.log_partition(H, beta) / (beta * 6)
    assert result.f == pytest.approx(true, abs=1e-12)
    assert result.f_importance == pytest.approx(true, abs=1e-12)
    assert result.f_error < 1e-13
    assert result.f_importance_error < 1e-13


def test_how_many_are_held_in_memory_changes_no_sample_count():
    H, net = random_hamiltonian(5, 0), random_net(5, 0)
    drawn = []
    sample = net.sample

    def counting(batch, generator=None):
        drawn.append(batch)
        return sample(batch, generator)

    net.sample = counting
    result = estimators.free_energy(net, H, 1.0, 1_000, batch=300, generator=seeded(0))
    assert drawn == [300, 300, 300, 100]
    assert result.samples == 1_000


def test_weights_too_large_for_a_float_do_no_harm():
    n, beta = 60, 30.0
    H, net = arnn.curie_weiss(n), OneParameter(n)
    net.omega.data.fill_(1.0)
    result = estimators.free_energy(net, H, beta, 2_000, generator=seeded(0))
    assert beta * n * 0.49 > 709  # exp(-beta H) itself would overflow
    assert result.f_importance == pytest.approx(exact.curie_weiss_free_energy(n, beta), abs=0.01)
    assert math.isfinite(result.f_importance_error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0}, "beta must be a positive finite number, not 0"),
        ({"beta": math.nan}, "beta must be a positive finite number, not nan"),
        ({"samples": 1}, "samples must be an integer of at least 2, not 1"),
        ({"samples": 10.0}, "samples must be an integer of at least 2, not 10.0"),
        ({"batch": 0}, "batch must be an integer of at least 1, not 0"),
        ({"net": random_net(4, 0)}, "the net has 4 spins and the Hamiltonian 5"),
    ],
)
def test_a_wrong_request_is_refused(options, message):
    asked = {"net": random_net(5, 0), "H": arnn.curie_weiss(5), "beta": 1.0, "samples": 10}
    with pytest.raises(ValueError, match=message):
        estimators.free_energy(**(asked | options))


# ---- Overlaps ----------------------------------------------------------------------------------


def test_overlaps_are_counted_over_pairs_of_different_samples():
    x, _ = random_net(5, 1).sample(12, seeded(3))
    law = estimators.overlap_distribution(x, blocks=3)
    by_block = []
    for block in x.reshape(3, 4, 5).tolist():
        counts = [0.0] * 6
        for a in range(4):
            for b in range(a):
                overlap = sum(s * t for s, t in zip(block[a], block[b], strict=True))
                counts[round((overlap + 5) / 2)] += 1 / 6
        by_block.append(counts)
    assert law.q.tolist() == pytest.approx([-1, -0.6, -0.2, 0.2, 0.6, 1])
    assert law.probability.tolist() == pytest.approx(np.mean(by_block, axis=0).tolist(), abs=1e-14)
    error = np.std(by_block, axis=0, ddof=1) / math.sqrt(3)
    assert law.error.tolist() == pytest.approx(error.tolist(), abs=1e-14)


def test_a_sample_is_not_compared_with_itself():
    x = exact.configurations(6)  # all different, so that q = 1 could come from self-overlaps only
    law = estimators.overlap_distribution(x, blocks=2)
    assert law.probability[-1] == 0
    assert float(law.probability.sum()) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("beta", "field"), [(0.6, 0.0), (1.3, 0.0), (1.3, 0.05)])
def test_overlaps_of_exact_samples_follow_the_exact_law(beta, field):
    n = 30
    x, _ = CurieWeissN(n, beta, 1.0, field).sample(10_000, seeded(4))
    law = estimators.overlap_distribution(x)
    q, expected = exact.curie_weiss_overlap_distribution(n, beta, 1.0, field)
    assert np.allclose(law.q, q, rtol=0, atol=1e-15)
    common = expected > 1e-3
    pulls = (law.probability.numpy() - expected)[common] / law.error.numpy()[common]
    assert np.abs(pulls).max() < 4
    assert 0.5 < np.sqrt((pulls**2).mean()) < 1.7


def test_the_errors_of_overlaps_are_honest():
    n, net, generator = 8, CurieWeissN(8, 1.2), seeded(5)
    q, law = exact.curie_weiss_overlap_distribution(n, 1.2)
    pulls = []
    for _ in range(200):
        found = estimators.overlap_distribution(net.sample(400, generator)[0])
        pulls.append(float((found.probability[4] - law[4]) / found.error[4]))
    assert q[4] == 0
    assert 0.8 < np.std(pulls) < 1.2
    assert abs(np.mean(pulls)) < 4 / math.sqrt(200)


@pytest.mark.parametrize(
    ("x", "blocks", "message"),
    [
        (torch.ones(10), 2, r"samples must be a \(batch, n\) tensor of \+1 and -1"),
        (torch.zeros(10, 3), 2, r"samples must be a \(batch, n\) tensor of \+1 and -1"),
        (torch.full((10, 3), torch.nan), 2, r"samples must be a \(batch, n\) tensor of \+1"),
        (np.ones((10, 3)), 2, r"samples must be a \(batch, n\) tensor of \+1 and -1"),
        (torch.ones(10, 3), 6, "10 samples are too few for 6 blocks of at least two"),
        (torch.ones(10, 3), 1, "blocks must be an integer of at least 2, not 1"),
        (torch.ones(10, 3), 2.0, "blocks must be an integer of at least 2, not 2.0"),
    ],
)
def test_wrong_samples_are_refused(x, blocks, message):
    with pytest.raises(ValueError, match=message):
        estimators.overlap_distribution(x, blocks=blocks)
