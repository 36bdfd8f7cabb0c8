"""The exact free energy of nets of the partial sum, against enumeration and in its own right."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arnn
from arnn import exact, partial_sums
from arnn.nets import CurieWeissInfinity, CurieWeissN, OneParameter, SingleLayer

few = settings(deadline=None, derandomize=True, max_examples=10)
models = {
    "n": st.integers(1, 9),
    "beta": st.floats(0.05, 2.5),
    "coupling": st.floats(-2, 2),
    "field": st.floats(-1, 1),
    "seed": st.integers(0, 10**6),
}


def trainable_nets(n, beta, coupling, field, seed):
    generator = torch.Generator().manual_seed(seed)
    nets = [
        OneParameter(n),
        CurieWeissInfinity(n, beta, coupling, field),
        CurieWeissInfinity(n, beta, coupling, field, train_shared=True),
    ]
    for net in nets:
        for p in net.parameters():
            if p.requires_grad:
                noise = torch.randn(p.shape, generator=generator, dtype=p.dtype)
                p.data.copy_(0.8 * noise)
    return nets


@few
@given(**models)
def test_value_and_gradient_are_those_of_enumeration(n, beta, coupling, field, seed):
    H = arnn.curie_weiss(n, coupling, field)
    for net in trainable_nets(n, beta, coupling, field, seed):
        by_sums = partial_sums.free_energy(net, H, beta)
        by_enumeration = exact.variational_free_energy(net, H, beta)
        for found, expected in zip(by_sums, by_enumeration, strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        trainable = [p for p in net.parameters() if p.requires_grad]
        found = torch.autograd.grad(by_sums.beta_free_energy, trainable)
        expected = torch.autograd.grad(by_enumeration.beta_free_energy, trainable)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
        assert by_sums.kl.item() >= -1e-12


@few
@given(n=st.integers(1, 60), beta=st.floats(0.05, 2.5), coupling=st.floats(-2, 2))
def test_the_exact_net_has_no_divergence_and_any_other_has(n, beta, coupling):
    H = arnn.curie_weiss(n, coupling, 0.3)
    kl = partial_sums.free_energy(CurieWeissN(n, beta, coupling, 0.3), H, beta).kl
    assert abs(kl.item()) < 1e-10
    # The field of this one is wrong: its first spin alone diverges.
    other = partial_sums.free_energy(CurieWeissN(n, beta, coupling, -0.3), H, beta).kl
    assert other.item() > 1e-4 * beta**2


def test_the_backward_pass_is_the_slope_of_the_forward_pass():
    n, generator = 5, torch.Generator().manual_seed(0)
    table = torch.randn(n, n, generator=generator, dtype=torch.float64).tril()
    cost = torch.randn(n + 1, generator=generator, dtype=torch.float64)
    function = partial_sums._FreeEnergyOfTable.apply
    assert torch.autograd.gradcheck(lambda t: function(t, cost), table.requires_grad_(), atol=1e-7)


def test_the_gradient_scales_with_what_comes_after_it():
    H, net = arnn.curie_weiss(6), OneParameter(6)
    once = torch.autograd.grad(partial_sums.free_energy(net, H, 1.2).kl, net.omega)[0]
    thrice = torch.autograd.grad(3 * partial_sums.free_energy(net, H, 1.2).kl, net.omega)[0]
    assert once.abs().max() > 0.01
    torch.testing.assert_close(thrice, 3 * once, rtol=1e-14, atol=0)


@few
@given(**models)
def test_the_laws_of_the_partial_sum_are_those_of_enumeration(n, beta, coupling, field, seed):
    x = exact.configurations(n)
    for net in trainable_nets(n, beta, coupling, field, seed):
        laws = partial_sums.sum_distributions(net).detach()
        p = net.log_prob(x).detach().exp()
        for i in range(n + 1):
            sums = x[:, :i].sum(1)
            for a in range(n + 1):
                expected = p[sums == 2 * a - i].sum() if a <= i else 0
                assert float(laws[i, a]) == pytest.approx(float(expected), abs=1e-13)


def test_the_last_law_of_the_exact_net_is_that_of_the_model():
    laws = partial_sums.sum_distributions(CurieWeissN(80, 1.3, 1.0, 0.01))
    _, expected = exact.curie_weiss_sum_distribution(80, 1.3, 1.0, 0.01)
    assert np.allclose(laws[-1], expected, rtol=0, atol=1e-13)
    assert np.allclose(laws.sum(1), 1, rtol=0, atol=1e-13)


def test_saturated_logits_leave_everything_finite():
    H, net = arnn.curie_weiss(20), OneParameter(20)
    net.omega.data.fill_(1e3)
    value = partial_sums.free_energy(net, H, 2.0)
    value.kl.backward()
    # All spins follow the first, so that beta F = beta E(20) - ln 2.
    assert value.beta_free_energy.item() == pytest.approx(-2 * 9.5 - math.log(2), abs=1e-12)
    assert torch.isfinite(net.omega.grad).all()


@pytest.mark.parametrize("function", ["free_energy", "sum_distributions"])
def test_a_net_that_sees_more_than_the_sum_is_refused(function):
    arguments = (arnn.curie_weiss(4), 1.0) if function == "free_energy" else ()
    with pytest.raises(TypeError, match="must see only the sum of the past, and SingleLayer sees"):
        getattr(partial_sums, function)(SingleLayer(4), *arguments)


def test_a_model_that_is_not_curie_weiss_is_refused():
    H = arnn.sherrington_kirkpatrick(4, 1)
    with pytest.raises(TypeError, match="H must be a Curie-Weiss model"):
        partial_sums.free_energy(OneParameter(4), H, 1.0)


def test_a_net_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the net has 4 spins and the Hamiltonian 5"):
        partial_sums.free_energy(OneParameter(4), arnn.curie_weiss(5), 1.0)


@pytest.mark.parametrize("beta", [0, -1, math.nan, "1"])
def test_a_wrong_beta_is_refused(beta):
    with pytest.raises(ValueError, match="beta must be a positive finite number"):
        partial_sums.free_energy(OneParameter(4), arnn.curie_weiss(4), beta)


@few
@given(**models)
def test_fisher_information_is_that_of_enumeration(n, beta, coupling, field, seed):
    """The mean square of the score over all configurations, entry by entry."""
    configurations = exact.configurations(n)
    for net in trainable_nets(n, beta, coupling, field, seed):
        trained = [p for p in net.parameters() if p.requires_grad]
        mean_square = [torch.zeros_like(p) for p in trained]
        for x in configurations:
            log_q = net.log_prob(x[None])[0]
            for total, score in zip(mean_square, torch.autograd.grad(log_q, trained), strict=True):
                total += log_q.detach().exp() * score**2
        for p, expected in zip(trained, mean_square, strict=True):
            found = partial_sums.fisher_information(net, p)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


def test_fisher_information_needs_a_parameter_of_each_spin_or_of_all():
    net = OneParameter(4)
    with pytest.raises(ValueError, match=r"a parameter must be \(n,\) or \(\), not \(2, 2\)$"):
        partial_sums.fisher_information(net, torch.zeros(2, 2))
    with pytest.raises(TypeError, match="the net must see only the sum of the past"):
        partial_sums.fisher_information(SingleLayer(4), torch.zeros(4))
