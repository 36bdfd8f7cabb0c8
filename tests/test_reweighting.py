"""Estimates that are unbiased though the net is not, against enumeration."""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import annealing, estimators, exact, montecarlo
from arnn.nets import H2ARNN, MADE, SKRSB, OneParameter


def random_hamiltonian(n, seed):
    """Couplings of both signs and fields."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)) / math.sqrt(n), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.3 * rng.normal(size=n))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def enumerated(H, beta):
    """ln Z, and the averages that `reweighted` estimates."""
    x, p = exact.configurations(H.n), exact.probabilities(H, beta)
    log_z = float(exact.log_partition(H, beta))
    energy = float(p @ H.energy(x))
    averages = {"f": -log_z / beta, "energy": energy, "entropy": beta * energy + log_z}
    return log_z, {name: value / H.n for name, value in averages.items()}, p @ x


@pytest.mark.parametrize("seed", range(50))
def test_averages_of_fifty_random_systems(seed):
    n, beta = 5 + seed % 12, 0.5 + 0.1 * (seed % 9)
    H = random_hamiltonian(n, seed)
    net = SKRSB(H, seed % 3, beta=beta)
    found = estimators.reweighted(net, H, beta, 4_000, generator=seeded(seed))
    _, averages, magnetisation = enumerated(H, beta)
    for name, value in averages.items():
        sigmas = 3 if name == "f" else 4
        assert abs(getattr(found, name) - value) < sigmas * getattr(found, f"{name}_error"), name
    pulls = (found.magnetisation - magnetisation) / found.magnetisation_error
    assert pulls.abs().max() < 4.5


def test_the_stated_errors_are_honest():
    """Over 200 repetitions the deviations, in units of the stated errors, have variance one."""
    n, beta = 6, 0.7
    H = random_hamiltonian(n, 3)
    net, generator = H2ARNN(H, 0.8 * beta), seeded(0)
    _, averages, magnetisation = enumerated(H, beta)
    pulls = []
    for _ in range(200):
        found = estimators.reweighted(net, H, beta, 500, generator=generator)
        pulls.append(
            [(getattr(found, k) - v) / getattr(found, f"{k}_error") for k, v in averages.items()]
            + ((found.magnetisation - magnetisation) / found.magnetisation_error).tolist()
        )
    pulls = np.array(pulls)
    assert ((pulls.std(0) > 0.8) & (pulls.std(0) < 1.2)).all()
    assert (np.abs(pulls.mean(0)) < 4 / math.sqrt(200)).all()


def test_the_free_energy_is_that_of_the_variational_estimate():
    H, net = random_hamiltonian(7, 1), SKRSB(random_hamiltonian(7, 1), 1, beta=1.0)
    one = estimators.reweighted(net, H, 1.0, 3_000, generator=seeded(1))
    other = estimators.free_energy(net, H, 1.0, 3_000, generator=seeded(1))
    assert one.f == pytest.approx(other.f_importance, abs=1e-12)
    assert one.f_error == pytest.approx(other.f_importance_error, rel=1e-9)
    assert one.effective_samples == pytest.approx(other.effective_samples, rel=1e-9)


@pytest.mark.parametrize("scale", [0.9, 0.97])
def test_the_gap_is_the_distance_to_second_order(scale):
    n, beta = 8, 0.9
    H = random_hamiltonian(n, 2)
    net = H2ARNN(H, scale * beta)
    kl = float(exact.variational_free_energy(net, H, beta).kl)
    found = estimators.reweighted(net, H, beta, 40_000, generator=seeded(2))
    assert found.gap * beta * n == pytest.approx(kl, rel=0.15)
    x = exact.configurations(n)
    log_q = net.log_prob(x).detach()
    log_weight, q = -beta * H.energy(x) - log_q, log_q.exp()
    variance = float(q @ (log_weight - q @ log_weight) ** 2)
    assert abs(found.gap - variance / (2 * beta * n)) < 4 * found.gap_error


def test_an_exact_net_needs_no_weights():
    H = random_hamiltonian(6, 4)
    found = estimators.reweighted(H2ARNN(H, 1.1), H, 1.1, 600, generator=seeded(4))
    _, averages, _ = enumerated(H, 1.1)
    assert found.f == pytest.approx(averages["f"], abs=1e-12)
    assert found.f_error < 1e-12
    assert found.gap < 1e-24
    assert found.effective_samples == pytest.approx(600, rel=1e-9)


# ---- Chains ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_chains_have_the_exact_marginals_though_the_net_is_wrong(seed):
    n, beta = 8, 1.0
    H = random_hamiltonian(n, 10 + seed)
    net = MADE(n, 2, 2, generator=seeded(seed))  # untrained
    chains = estimators.neural_mcmc(net, H, beta, 6_000, chains=16, generator=seeded(seed))
    _, averages, magnetisation = enumerated(H, beta)
    for i in range(n):
        mean, error = montecarlo.mean_with_error(chains.x[:, :, i].numpy())[:2]
        assert abs(mean - float(magnetisation[i])) < 4 * error
    mean, error = montecarlo.mean_with_error(chains.energy)[:2]
    assert abs(mean / n - averages["energy"]) < 4 * error / n
    assert torch.equal(
        torch.from_numpy(chains.energy), H.energy(chains.x.reshape(-1, n)).reshape(16, -1)
    )
    assert 0 < chains.acceptance < 1
    assert chains.autocorrelation_time > 0.5


def test_a_better_net_accepts_more_and_forgets_sooner():
    n, beta = 10, 1.0
    H = random_hamiltonian(n, 5)
    found = [
        estimators.neural_mcmc(net, H, beta, 2_000, chains=8, generator=seeded(6))
        for net in (OneParameter(n), SKRSB(H, 0, beta=beta), H2ARNN(H, beta))
    ]
    acceptance = [chains.acceptance for chains in found]
    assert acceptance == sorted(acceptance)
    assert acceptance[2] == 1
    times = [chains.autocorrelation_time for chains in found]
    assert times == sorted(times, reverse=True)
    assert times[2] == pytest.approx(0.5, abs=0.1)


def test_the_same_generator_gives_the_same_chains():
    H, net = random_hamiltonian(5, 0), OneParameter(5)
    one, two = (
        estimators.neural_mcmc(net, H, 1.0, 50, chains=3, generator=seeded(7)) for _ in range(2)
    )
    assert one.x.shape == (3, 50, 5)
    assert torch.equal(one.x, two.x)


# ---- Annealed importance sampling --------------------------------------------------------------


@pytest.mark.parametrize("sweeps", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_annealed_weights_give_the_partition_function(seed, sweeps):
    H = random_hamiltonian(9, 20 + seed)
    betas = np.linspace(0, 2, 17)
    found = annealing.annealed_importance(H, betas, chains=4_000, sweeps=sweeps, seed=seed)
    assert found.log_partition[0] == pytest.approx(9 * math.log(2), abs=1e-12)
    for beta in (0.5, 1.0, 2.0):
        f, error = found.f(beta)
        true = -float(exact.log_partition(H, beta)) / (beta * 9)
        assert 0 < abs(f - true) < 4 * error < 0.05
    assert (np.diff(found.effective_chains) < 0).all()


def test_slower_annealing_wastes_fewer_chains():
    H = random_hamiltonian(12, 1)
    shares = [
        annealing.annealed_importance(H, np.linspace(0, 2, k), chains=500).effective_chains[-1]
        for k in (3, 9, 33)
    ]
    assert shares == sorted(shares)


def test_annealed_errors_are_honest():
    H = random_hamiltonian(7, 6)
    true = float(exact.log_partition(H, 1.5))
    pulls = []
    for seed in range(200):
        found = annealing.annealed_importance(H, np.linspace(0, 1.5, 13), chains=300, seed=seed)
        pulls.append((found.log_partition[-1] - true) / found.log_partition_error[-1])
    assert 0.8 < np.std(pulls) < 1.2
    assert abs(np.mean(pulls)) < 5 / math.sqrt(200)


# ---- Diagnostics -------------------------------------------------------------------------------


def test_the_forward_divergence_of_enumeration():
    n, beta = 7, 1.0
    H, net = random_hamiltonian(n, 8), MADE(n, 2, 2, generator=seeded(8))
    x, p = exact.configurations(n), exact.probabilities(H, beta)
    kl = float(p @ (p.log() - net.log_prob(x).detach()))
    drawn = x[torch.multinomial(p, 20_000, replacement=True, generator=seeded(9))]
    log_z = float(exact.log_partition(H, beta))
    found, error = estimators.forward_divergence(net, H, beta, drawn, log_z)
    assert abs(found - kl) < 4 * error < 0.2


class HalfLost(OneParameter):
    """Spins that all follow the first one, which is nearly always up."""

    def logit_of_sum(self, i, total):
        first = torch.as_tensor(i) == 0
        return torch.where(first, torch.full_like(total, 12.0), 2.0 * total)


def test_a_lost_mode_shows_in_the_mirror_and_in_the_forward_divergence():
    n, beta = 12, 1.5
    H, good, lost = arnn.curie_weiss(n), H2ARNN(arnn.curie_weiss(n), beta), HalfLost(n)
    up = {
        net: torch.bincount(
            ((net.sample(4_000, seeded(1))[0].sum(1) + n) / 2).long(), minlength=n + 1
        )
        / 4_000
        for net in (good, lost)
    }
    error = {net: (p * (1 - p) / 4_000).sqrt() for net, p in up.items()}
    distance, noise = estimators.mirror_distance(up[good], error[good])
    assert distance < 2 * noise
    distance, noise = estimators.mirror_distance(up[lost], error[lost])
    assert distance > 0.8
    assert distance > 20 * noise
    x, p = exact.configurations(n), exact.probabilities(H, beta)
    drawn = x[torch.multinomial(p, 2_000, replacement=True, generator=seeded(2))]
    log_z = float(exact.log_partition(H, beta))
    backward = float(exact.variational_free_energy(lost, H, beta).kl)
    forward, _ = estimators.forward_divergence(lost, H, beta, drawn, log_z)
    assert forward > 4 * backward


# ---- Wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        ("reweighted", {"beta": 0}, "beta must be a positive finite number, not 0"),
        ("reweighted", {"samples": 1}, "samples must be an integer of at least 2, not 1"),
        ("reweighted", {"net": OneParameter(4)}, "the net has 4 spins and the Hamiltonian 5"),
        ("neural_mcmc", {"samples": 3}, "samples must be an integer of at least 4, not 3"),
        ("neural_mcmc", {"chains": 0}, "chains must be an integer of at least 1, not 0"),
        ("neural_mcmc", {"burn_in": -1}, "burn_in must be an integer of at least 0, not -1"),
    ],
)
def test_a_wrong_request_is_refused(call, options, message):
    asked = {"net": OneParameter(5), "H": arnn.curie_weiss(5), "beta": 1.0, "samples": 10}
    with pytest.raises(ValueError, match=message):
        getattr(estimators, call)(**(asked | options))


def test_other_wrong_requests_are_refused():
    H = arnn.curie_weiss(5)
    with pytest.raises(ValueError, match=r"samples must have shape \(2 or more, 5\), not \(3, 4\)"):
        estimators.forward_divergence(OneParameter(5), H, 1.0, torch.ones(3, 4), 1.0)
    with pytest.raises(ValueError, match="log_partition must be a finite number"):
        estimators.forward_divergence(OneParameter(5), H, 1.0, torch.ones(3, 5), math.nan)
    with pytest.raises(ValueError, match="chains must be an integer of at least 2, not 1"):
        annealing.annealed_importance(H, [0, 1], chains=1)
    with pytest.raises(ValueError, match=r"beta = 0\.3 is not in the ladder"):
        annealing.annealed_importance(H, [0, 1], chains=2).f(0.3)
