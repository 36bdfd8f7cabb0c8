"""The cavity network: the TAP equations, unrolled, and how near they come to Paper Eq. (5)."""

import copy
import math

import numpy as np
import pytest
import torch

import arnn
from arnn import exact, lattices
from arnn.nets import SKRSB, Cavity


def model(n, seed, fields=0.3):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)) / math.sqrt(n), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, fields * rng.normal(size=n))


def off_the_start(net, seed=1):
    """The net with gains that differ from each other, as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return net


def by_loops(net, J, h, beta, x, i):
    """The logit of spin i of one configuration, written out spin by spin."""
    n, gains = net.n, net.gains.tolist()
    xi = [sum(J[s][k] * x[s] for s in range(i)) for k in range(n)]
    a, b = net.readout.tolist()[i]
    m = before = dict.fromkeys(range(i + 1, n), 0.0)
    for field, coupling, reaction, memory in gains[i]:
        new = {}
        for j in m:
            force = coupling * sum(J[j][k] * m[k] for k in m)
            v = beta * sum(J[j][k] ** 2 * (1 - m[k] ** 2) for k in m)
            force += field * (h[j] + xi[j]) - reaction * v * before[j]
            new[j] = memory * m[j] + (1 - memory) * math.tanh(beta * force)
        m, before = new, m
    return 2 * beta * (a * (h[i] + xi[i]) + b * sum(J[i][j] * m[j] for j in m))


def test_the_network_written_out_spin_by_spin():
    n, beta = 6, 1.3
    H = model(n, 1)
    net = off_the_start(Cavity(H, 4, beta=beta))
    x = exact.configurations(n)[::7]
    logits = net.logits(x).detach()
    for row, spins in enumerate(x.tolist()):
        for i in range(n):
            expected = by_loops(net, H.couplings.tolist(), H.fields.tolist(), beta, spins, i)
            assert float(logits[row, i]) == pytest.approx(expected, abs=1e-12)


def test_many_iterations_solve_the_tap_equations():
    n, beta = 30, 0.6
    H = model(n, 2)
    net = Cavity(H, 200, beta=beta)
    xi = torch.randn(n - 1, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    m = net.magnetisations(0, xi, net.gains[0])
    J = H.couplings[1:, 1:]
    reaction = beta * (J**2 @ (1 - m**2)) * m
    solved = torch.tanh(beta * (H.fields[1:, None] + xi + J @ m - reaction))
    assert (m - solved).abs().max() < 1e-12


def conditional_error(beta, n=9):
    """Root mean square error of the logits of an untrained net, by enumeration."""
    H, x = model(n, 3), exact.configurations(n)
    net = Cavity(H, 60, beta=beta)
    error = net.logits(x).detach() - exact.conditional_logits(H, beta, x)
    return float(error.pow(2).mean().sqrt())


def test_at_high_temperature_the_error_is_of_fourth_order():
    """The cavity form and the TAP equations are both right up to beta^3."""
    ratio = conditional_error(0.1) / conditional_error(0.05)
    assert 2**4 * 0.8 < ratio < 2**4 * 1.3


@pytest.mark.parametrize("seed", range(4))
def test_untrained_it_is_nearer_than_free_spins(seed):
    n = 12
    H = model(n, seed)
    for beta in (0.5, 1.0):
        nets = (Cavity(H, 20, beta=beta), SKRSB(H, 0, beta=beta))
        cavity, free = (exact.variational_free_energy(net, H, beta).kl.item() for net in nets)
        assert cavity < 0.7 * free


def test_samples_for_training_bring_the_gradient_with_them():
    """The same samples, ln Q and gradient as by sampling first and differentiating then."""
    net = off_the_start(Cavity(model(9, 7), 4, beta=1.2))
    x, log_prob = net.sample_for_training(50, torch.Generator().manual_seed(3))
    again, value = net.sample(50, torch.Generator().manual_seed(3))
    assert torch.equal(x, again)
    assert (log_prob - value).abs().max() < 1e-12
    weight = torch.linspace(-1, 2, 50, dtype=torch.float64)
    got = torch.autograd.grad((weight * log_prob).sum(), list(net.parameters()))
    expected = torch.autograd.grad((weight * net.log_prob(x)).sum(), list(net.parameters()))
    for one, other in zip(got, expected, strict=True):
        assert (one - other).abs().max() < 1e-11


def test_without_fields_the_logits_are_odd_in_the_past():
    net = off_the_start(Cavity(model(8, 4, fields=0.0), 5, beta=1.4))
    x = exact.configurations(8)[::5]
    assert (net.logits(x) + net.logits(-x)).abs().max() < 1e-13


def test_the_gains_stay_when_beta_moves():
    net = off_the_start(Cavity(model(7, 5), 3, beta=0.5))
    gains = net.gains.detach().clone()
    net.set_beta(1.0)
    assert torch.equal(net.gains, gains)
    other = Cavity(model(7, 5), 3, beta=1.0)
    other.load_state_dict(net.state_dict())
    x = exact.configurations(7)[::3]
    assert torch.equal(net.logits(x), other.logits(x))


@pytest.mark.parametrize(("n", "depth"), [(1, 1), (2, 3), (50, 10)])
def test_number_of_parameters_that_act(n, depth):
    net = Cavity(model(n, 6), depth, beta=0.8)
    x = torch.ones(3, n, dtype=torch.float64)
    x[1:, ::2] = -1
    net.log_prob(x)[:2].sum().backward()
    acting = sum(int((p.grad != 0).sum()) for p in net.parameters() if p.grad is not None)
    assert acting <= net.num_parameters() == 4 * depth * (n - 1) + 2 * n - 1
    if n == 50:  # at the first iteration m and m before are zero: three of its gains do nothing
        assert acting >= net.num_parameters() - 3 * (n - 1) - (n - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be an integer of at least 1, not 0"),
        ({"depth": 2.0}, "depth must be an integer of at least 1, not 2.0"),
        ({"beta": -1}, "beta must be a positive finite number, not -1"),
    ],
)
def test_a_wrong_request_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Cavity(model(4, 0), **({"depth": 2, "beta": 1.0} | options))


def graph(n, bonds, seed, fields=0.3):
    """Normal couplings on random bonds, some spins without any, with fields."""
    rng = np.random.default_rng(seed)
    upper = np.zeros((n, n))
    places = np.triu_indices(n - 3, 1)
    chosen = rng.choice(len(places[0]), bonds, replace=False)
    upper[places[0][chosen], places[1][chosen]] = rng.normal(size=bonds)
    return arnn.PairwiseHamiltonian(upper + upper.T, fields * rng.normal(size=n))


SPARSE = {
    "lattice": lattices.edwards_anderson(6, 6, 1),
    "lattice in a field": lattices.edwards_anderson(6, 7, 2, field=0.4),
    "torus": lattices.edwards_anderson(7, 7, 3, closed=True, field=0.1),
    "graph": graph(70, 90, 4),
    "graph without fields": graph(70, 90, 5, fields=0.0),
    "no couplings": arnn.PairwiseHamiltonian(np.zeros((5, 5)), np.linspace(-1, 1, 5)),
}


def sparse_and_dense(H, depth):
    """The same net twice, and the second time as if no coupling were zero."""
    net = off_the_start(Cavity(H, depth, beta=0.8))
    assert net._cones is not None
    dense = copy.deepcopy(net)
    dense._cones = None
    return net, dense


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_couplings_give_the_logits_and_gradients_of_the_dense_form(name, depth):
    net, dense = sparse_and_dense(SPARSE[name], depth)
    weight, found = torch.linspace(-1, 2, 20, dtype=torch.float64), []
    for one in (net, dense):
        x, log_prob = one.sample_for_training(20, torch.Generator().manual_seed(1))
        again, value = one.sample(20, torch.Generator().manual_seed(1))
        assert torch.equal(x, again)
        logits = one.logits(x)
        by_sampling, by_logits = (
            torch.autograd.grad(total.sum(), list(one.parameters()), materialize_grads=True)
            for total in (weight * log_prob, weight @ logits)
        )
        slopes = [one.logit_slopes(i, x) for i in range(0, one.n, 9)]
        found.append([x, value, log_prob, logits, *by_sampling, *by_logits, *slopes])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_matrices_of_couplings_take_both_forms_in_this_test():
    """Those of deep conditionals of a graph are sparse ones, those of shallow ones are not."""
    for depth, is_sparse in ((7, True), (1, False)):
        net, _ = sparse_and_dense(SPARSE["graph"], depth)
        spin = max(range(net.n), key=lambda i: len(net._cones[i]))
        assert all(matrix.is_sparse is is_sparse for matrix in net._among(net._later(spin)))


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("name", ["lattice in a field", "graph"])
def test_the_light_cone_holds_the_spins_on_which_the_logit_depends(name, depth):
    """Exactly these: the slope by the field on any other is zero in the dense form."""
    net, dense = sparse_and_dense(SPARSE[name], depth)
    for i in range(0, net.n, 4):
        state = torch.linspace(0.5, 1, net.n - i, dtype=torch.float64)[:, None].requires_grad_()
        (slope,) = torch.autograd.grad(dense.conditional(i, state).sum(), state)
        assert torch.equal(slope[:, 0].nonzero()[:, 0] + i, net._cones[i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dense_couplings_are_multiplied_as_before(dtype):
    """Bit for bit, so that stored trainings are those of this net."""
    H = arnn.sherrington_kirkpatrick(20, 1, dtype=dtype)
    net = off_the_start(Cavity(H, 4, beta=1.1))
    x, logits, J = net.sample(30, torch.Generator().manual_seed(2))[0], [], H.couplings
    for i in range(net.n):
        rest, xi = J[i + 1 :, i + 1 :], J[:i, i:].T @ x.T.contiguous()[:i]
        m = before = torch.zeros_like(xi[1:])
        for field, coupling, reaction, memory in net.gains[i]:
            onsager = net.beta * (rest**2 @ (1 - m * m)) * before
            local = field * (H.fields[i + 1 :, None] + xi[1:])
            new = torch.tanh(net.beta * (local + coupling * (rest @ m) - reaction * onsager))
            m, before = memory * m + (1 - memory) * new, m
        cavity = net.readout[i, 0] * (H.fields[i] + xi[0])
        if i + 1 < net.n:
            cavity = cavity + net.readout[i, 1] * (J[i, i + 1 :] @ m)
        logits.append(2 * net.beta * cavity)
    assert torch.equal(net.logits(x), torch.stack(logits, dim=1))
