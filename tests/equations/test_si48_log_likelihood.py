"""SI Eq. (48): the loss of the inverse problem, LL = -(1/m) sum over the samples of ln Q.

Printed as "the average of the negative log-likelihood", which it is; there is no misprint. Its mean
over the samples is S + D(P||Q), the entropy of the Boltzmann distribution and the divergence in the
direction opposite to that of Eq. (1), so that it is least, and equal to S, at Q = P. Chapter 13.
"""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import exact, training
from arnn.nets import H2ARNN, SKRSB

BETA = 1.2


def one_step_rsb(n, seed, H=None):
    """SK_1RSB with a first layer of its own; numbers of order one, so that no gradient is tiny."""
    H = H or arnn.sherrington_kirkpatrick(n, 1)
    generator = torch.Generator().manual_seed(seed)
    options = {"init": "paper", "learn_first_layer": True, "generator": generator}
    net = SKRSB(H, 1, beta=BETA, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(n)
    return net


def gradient_of(value, net):
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(net.parameters()))])


def boltzmann(n):
    H = arnn.sherrington_kirkpatrick(n, 1)
    return exact.configurations(n), exact.probabilities(H, BETA), exact.thermodynamics(H, BETA)


@pytest.mark.parametrize("seed", range(3))
def test_its_mean_is_the_entropy_and_the_divergence(seed):
    x, p, truth = boltzmann(7)
    log_q = one_step_rsb(7, seed).log_prob(x).detach()
    divergence = float(p @ (p.log() - log_q))
    mean = -float(p @ log_q)
    assert mean == pytest.approx(truth.entropy + divergence, abs=1e-11)
    assert divergence > 0.1
    assert mean > truth.entropy


def test_the_entropy_is_beta_times_energy_and_ln_z():
    _, p, truth = boltzmann(7)
    assert truth.entropy == pytest.approx(-float(p @ p.log()), abs=1e-11)
    assert truth.entropy == pytest.approx(BETA * truth.energy + truth.log_partition, abs=1e-11)


def test_it_is_least_at_the_boltzmann_distribution():
    x, p, truth = boltzmann(5)
    exact_net = H2ARNN(arnn.sherrington_kirkpatrick(5, 1), BETA)
    assert -float(p @ exact_net.log_prob(x)) == pytest.approx(truth.entropy, abs=1e-10)


def test_the_estimate_from_samples_has_that_mean_and_the_error_of_a_mean():
    x, p, _ = boltzmann(6)
    net = one_step_rsb(6, 1)
    log_q, batch, repeats = net.log_prob(x).detach(), 50, 400
    drawn = np.random.default_rng(0).choice(len(p), size=(repeats, batch), p=p.numpy())
    estimates = torch.stack([-net.log_prob(x[rows]).mean() for rows in drawn]).detach()
    mean = -float(p @ log_q)
    spread = math.sqrt((float(p @ log_q**2) - mean**2) / batch)
    assert abs(estimates.mean() - mean) < 4 * spread / math.sqrt(repeats)
    assert estimates.std().item() == pytest.approx(spread, rel=0.15)


def test_its_gradient_is_that_of_the_divergence():
    """Over samples the gradient averages to sum_x P grad(-ln Q), enumerated."""
    x, p, _ = boltzmann(5)
    net = one_step_rsb(5, 2)
    divergence = (p * (p.log() - net.log_prob(x))).sum()
    expected = gradient_of(divergence, net)
    assert expected.abs().max() > 0.05
    single = torch.stack([gradient_of(-net.log_prob(row[None]).mean(), net) for row in x])
    torch.testing.assert_close(p @ single, expected, rtol=0, atol=1e-12)
    drawn = np.random.default_rng(1).choice(len(p), size=20_000, p=p.numpy())
    estimate = single[drawn].mean(0)
    error = single[drawn].std(0) / math.sqrt(len(drawn))
    acting = error > 0  # couplings w_sl with s >= l have neither gradient nor noise
    assert ((estimate - expected)[acting] / error[acting]).abs().max() < 4
    assert not expected[~acting].any()


def test_training_by_it_comes_close_to_the_boltzmann_distribution():
    x, p, truth = boltzmann(6)
    counts = (p * 20_000).round().long()  # the samples are the law itself, to 5e-5
    samples = x.repeat_interleave(counts, 0)
    net = one_step_rsb(6, 0)
    before = -(p @ net.log_prob(x)).item() - truth.entropy
    options = {"steps": 1500, "batch": 500, "lr": 2e-2, "final_lr": 1e-3}
    training.maximise_likelihood(net, samples, **options)
    divergence = -(p @ net.log_prob(x)).item() - truth.entropy
    assert before > 0.5
    assert 0 < divergence < 2e-3
