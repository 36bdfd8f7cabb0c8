"""The compiled loops of the cavity network against its plain torch form in float64."""

import functools
import math

import numba
import numpy as np
import pytest
import torch
from agreement import check_law, check_training, relative

import arnn
from arnn import cavity_kernels, lattices
from arnn.nets import Cavity


def sk(n, seed=1):
    """The model of Sherrington and Kirkpatrick with a field on each spin."""
    J = arnn.sherrington_kirkpatrick(n, seed).couplings
    return arnn.PairwiseHamiltonian(J, 0.3 * np.random.default_rng(seed).normal(size=n))


MODELS = {
    "one spin": sk(1),
    "two spins": sk(2),
    "SK": sk(23),
    "lattice": lattices.edwards_anderson(6, 6, 1, field=0.2),
    "sparse matrices": lattices.edwards_anderson(12, 12, 1, field=0.2),
}


def pair(H, depth, beta=1.1):
    """The net in float64, with gains that differ from each other, and in float32."""
    generator = torch.Generator().manual_seed(1)
    net = Cavity(H, depth, beta=beta)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    fast = Cavity(H, depth, beta=beta, dtype=torch.float32)
    fast.load_state_dict(net.state_dict())
    return net, fast


@pytest.mark.parametrize("depth", [1, 2, 3, 10])
@pytest.mark.parametrize("batch", [1, 300])
@pytest.mark.parametrize("name", MODELS)
def test_log_prob_and_gradient_of_the_plain_form(name, batch, depth):
    check_training(*pair(MODELS[name], depth), batch)


def test_more_pasts_than_are_in_memory_together():
    net, fast = pair(MODELS["SK"], 4)
    x, log_prob = fast.sample_for_training(
        2 * cavity_kernels.CHUNK + 5, torch.Generator().manual_seed(3)
    )
    assert len(x.unique(dim=0)) > cavity_kernels.CHUNK
    assert (log_prob - net.log_prob(x.double())).abs().max() < 1e-4
    log_prob.mean().backward()
    net.log_prob(x.double()).mean().backward()
    assert relative(fast.gains.grad, net.gains.grad) < 1e-4


def test_the_samples_are_those_of_the_plain_form():
    """From the same noise, but where a logit lies within rounding of its noise."""
    net, fast = pair(MODELS["SK"], 5)
    noise = net._noise(1000, torch.Generator().manual_seed(4))
    with torch.no_grad():
        plain, compiled = net._draw(noise)[0], fast._draw(noise.float())[0]
    assert (compiled.double() == plain).all(0).double().mean() > 0.995


def test_configurations_come_as_often_as_their_probability_says():
    """Though samples share the work as long as their spins are the same."""
    _, fast = pair(sk(4), 3)
    x, _ = fast.sample(200_000, torch.Generator().manual_seed(6))
    check_law(x, fast, sigmas=4)


def test_with_and_without_the_gradient_the_samples_are_the_same():
    _, fast = pair(MODELS["SK"], 6)
    x, log_prob = fast.sample_for_training(700, torch.Generator().manual_seed(4))
    same, known = fast.sample(700, torch.Generator().manual_seed(4))
    assert torch.equal(x, same)
    assert torch.equal(log_prob, known)
    assert log_prob.requires_grad
    assert not known.requires_grad


@pytest.mark.parametrize("name", ["SK", "lattice"])
def test_the_slopes_of_single_logits(name):
    net, fast = pair(MODELS[name], 4)
    x, _ = net.sample(50, torch.Generator().manual_seed(5))
    for i in (0, 1, net.n - 2, net.n - 1):
        truth = net.logit_slopes(i, x)
        found = fast.logit_slopes(i, x.float())
        assert found.shape == truth.shape
        assert (found.double() - truth).abs().max() < 1e-4


def test_large_fields_saturate():
    """The tanh stays one where its argument is large, as it does in the plain form."""
    H = arnn.PairwiseHamiltonian(100 * sk(8).couplings, torch.linspace(-50, 50, 8))
    net, fast = pair(H, 4)
    x, log_prob = fast.sample(20, torch.Generator().manual_seed(1))
    assert (log_prob - net.log_prob(x.double())).abs().max() < 1e-3


@pytest.mark.parametrize("broken", ["gains", "readout"])
def test_a_parameter_that_is_not_a_number_shows(broken):
    """Training stops at a free energy that is not finite, so the loops may not hide a NaN."""
    _, fast = pair(MODELS["SK"], 3)
    with torch.no_grad():
        getattr(fast, broken)[1].fill_(math.nan)
    _, log_prob = fast.sample_for_training(20)
    assert log_prob.isnan().any()


def test_the_number_of_threads_of_the_loops_changes_nothing(monkeypatch):
    """PyTorch's matrix products keep one: on some processors their last bits depend on it."""
    _, fast = pair(MODELS["SK"], 5)
    found = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        several = functools.partial(numba.set_num_threads, threads)
        monkeypatch.setattr(cavity_kernels, "use_threads_of_torch", several)
        x, log_prob = fast.sample_for_training(600, torch.Generator().manual_seed(8))
        (gradient,) = torch.autograd.grad(log_prob.sum(), fast.gains)
        found.append((x, log_prob.detach(), gradient))
    torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_a_subclass_with_another_iteration_is_not_given_these_loops():
    """It may keep something from one conditional to the next, for each sample in its column."""

    class Warm(Cavity):
        def magnetisations(self, i, later_fields, gains):
            before = torch.zeros_like(later_fields) if i == 0 else self.last[1:]
            self.last = torch.tanh(later_fields + before)
            return self.last

    class OtherName(Cavity):
        pass

    warm, kept = (net(sk(6), 2, beta=1.0, dtype=torch.float32) for net in (Warm, OtherName))
    assert warm._kernels() is None
    assert kept._kernels() is cavity_kernels
    with torch.no_grad():
        x, log_prob = warm.sample(30, torch.Generator().manual_seed(1))
        torch.testing.assert_close(log_prob, warm.log_prob(x))


def test_float64_is_the_plain_form():
    net, _ = pair(MODELS["SK"], 2)
    assert net._kernels() is None
    x, log_prob = net.sample(20, torch.Generator().manual_seed(1))
    torch.testing.assert_close(log_prob, net.log_prob(x).detach(), rtol=0, atol=1e-12)
