"""The natural gradient: the Fisher matrix by enumeration, its steps, and what they reach."""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import exact, natural_gradient, training
from arnn.natural_gradient import NaturalGradient
from arnn.nets import MADE, SKRSB, Cavity, OneParameter, SingleLayer

NETS = ["SK_RS", "SK_1RSB", "SK_2RSB", "1L", "Cavity"]


def make(name, n=6, beta=1.1, dtype=torch.float64):
    """A net with no special values, as after some training."""
    generator = torch.Generator().manual_seed(3)
    if name == "1L":
        return SingleLayer(n, generator=generator, dtype=dtype)
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=dtype)
    net = Cavity(H, 3, beta=beta) if name == "Cavity" else SKRSB(H, NETS.index(name), beta=beta)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator, dtype=dtype))
    return net


def trainable(net):
    return [p for p in net.parameters() if p.requires_grad]


def own(net, tensors, i):
    """The numbers of conditional i out of tensors like the trainable parameters, as one vector."""
    like = {id(p): tensor for p, tensor in zip(trainable(net), tensors, strict=True)}
    return torch.cat([like[id(p)][index].flatten() for p, index in net.own_parameters(i)])


# ---- Slopes and the Fisher matrix --------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_the_slopes_of_the_logits_are_those_of_automatic_differentiation(name):
    net, x = make(name), exact.configurations(6)[::9]
    for i in range(6):
        slopes = net.logit_slopes(i, x)
        for b in range(len(x)):
            logit = net.logits(x)[b, i]
            grads = torch.autograd.grad(logit, trainable(net), materialize_grads=True)
            expected = own(net, grads, i)
            torch.testing.assert_close(slopes[:, b].detach(), expected, rtol=1e-10, atol=1e-12)
            if i > 0 or not name.startswith("SK"):  # nothing else moves this logit
                assert sum(g.count_nonzero() for g in grads) == expected.count_nonzero()


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("shuffled", [False, True])
def test_what_is_left_out_of_a_sparse_net_is_a_constant_beside_the_bias(k, shuffled):
    """The log-sigmoids of fields on which the past does not act are one number in every sample."""
    H = arnn.lattices.edwards_anderson(4, 3, 2, field=0.3)
    if shuffled:  # the fields that move do not lie side by side then
        order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
        H = arnn.PairwiseHamiltonian(H.couplings[order][:, order], H.fields[order])
    net, x = SKRSB(H, k, beta=0.9), exact.configurations(12)[::97]
    acted = arnn.lattices.fields_of_the_past(H)
    with torch.no_grad():
        for i in range(12):
            pairs = torch.arange(66)[net.pairs(i)]
            owned = [torch.arange(66)[index[1]] for _, index in net.own_parameters(i)[1:]]
            expected = [int(pairs[later - i - 1]) for later in acted[i]]
            assert [own.tolist() for own in owned] == [expected] * (2 * k + 3)
            others = [place for place in pairs.tolist() if place not in expected]
            before = net.logits(x)[:, i]
            net.weights[0][:, others] = 0.7
            change = net.logits(x)[:, i] - before
            assert change.max() - change.min() < 1e-13
            assert change.abs().min() > 0.1 or not len(others)


@pytest.mark.parametrize("name", NETS)
def test_every_acting_parameter_belongs_to_one_conditional(name):
    net = make(name)
    with torch.no_grad():
        for i in range(6):
            for tensor, index in net.own_parameters(i):
                tensor[index] = 1000.0 + i
    found = torch.cat([p.detach().flatten() for p in trainable(net)])
    acting = net.num_parameters()
    if name.startswith("SK"):  # less omega, and the constants of the conditional without a past
        acting -= net.n + 2 * (2 * net.k + 3) * (net.n - 1)
    assert int((found >= 1000).sum()) == acting


@pytest.mark.parametrize("name", NETS)
def test_the_fisher_matrix_is_one_block_for_each_conditional(name):
    """The covariance of all scores, by enumeration: zero between conditionals, F_i within."""
    net, x = make(name, n=4), exact.configurations(4)
    log_prob = net.log_prob(x)
    q = log_prob.detach().exp()
    scores = []
    for b in range(len(x)):
        grads = torch.autograd.grad(
            log_prob[b], trainable(net), retain_graph=True, materialize_grads=True
        )
        scores.append([own(net, grads, i) for i in range(4)])
    p = torch.sigmoid(net.logits(x)).detach()
    for i in range(4):
        for j in range(4):
            covariance = sum(q[b] * torch.outer(s[i], s[j]) for b, s in enumerate(scores))
            if i == j:
                d = net.logit_slopes(i, x).detach()
                expected = (d * (q * p[:, i] * (1 - p[:, i]))) @ d.T
            else:
                expected = torch.zeros_like(covariance)
            torch.testing.assert_close(covariance, expected, rtol=0, atol=1e-12)


# ---- A step ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETS)
def test_a_step_solves_with_the_damped_block_of_the_samples(name, dtype):
    net, damping, lr = make(name, dtype=dtype), 0.03, 0.05
    x, _ = net.sample(400, torch.Generator().manual_seed(0))
    optimiser = NaturalGradient(net, lr, damping)
    optimiser.measure(x)
    generator = torch.Generator().manual_seed(1)
    for p in trainable(net):
        p.grad = 1e-2 * torch.randn(p.shape, generator=generator, dtype=dtype)
    before = [p.detach().clone() for p in trainable(net)]
    slopes = [net.logit_slopes(i, x).detach().double() for i in range(6)]
    p_up = torch.sigmoid(net.logits(x)).detach().double()
    optimiser.step()
    moved = [p.detach() - old for p, old in zip(trainable(net), before, strict=True)]
    for i, d in enumerate(slopes):
        block = (d * (p_up[:, i] * (1 - p_up[:, i]) / len(x))) @ d.T
        block += damping * torch.eye(len(block), dtype=torch.float64)
        gradient = own(net, [p.grad for p in trainable(net)], i).double()
        expected = -lr * torch.linalg.solve(block, gradient)
        # A block has a condition number of some thousands, which float32 pays for.
        tolerance = 1e-9 if dtype == torch.float64 else 2e-3
        close = {"rtol": 0, "atol": tolerance * float(expected.abs().max())}
        torch.testing.assert_close(own(net, moved, i).double(), expected, **close)


@pytest.mark.parametrize("name", NETS)
def test_no_conditional_moves_further_than_the_largest_divergence(name):
    """However large the gradient: the KL divergence of old and new conditional, by enumeration."""
    net, x = make(name), exact.configurations(6)
    samples, _ = net.sample(20_000, torch.Generator().manual_seed(0))
    optimiser = NaturalGradient(net, 0.5, 1e-2)
    optimiser.measure(samples)
    old, q = net.logits(x).detach(), net.log_prob(x).detach().exp()
    for p in trainable(net):
        p.grad = torch.full_like(p, 1e3)
    optimiser.step()
    new = net.logits(x).detach()
    p = torch.sigmoid(old)
    divergence = p * (torch.nn.functional.logsigmoid(old) - torch.nn.functional.logsigmoid(new)) + (
        1 - p
    ) * (torch.nn.functional.logsigmoid(-old) - torch.nn.functional.logsigmoid(-new))
    mean = q @ divergence
    assert (mean < 1.2 * natural_gradient.LARGEST_KL).all()
    assert mean.max() > 0.1 * natural_gradient.LARGEST_KL


# ---- Training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("instance", [1, 2])
def test_sixty_natural_steps_end_lower_than_as_many_of_adam(name, instance):
    H, betas = arnn.sherrington_kirkpatrick(10, instance), [0.5, 1.0, 1.5]
    reached = {}
    for optimiser, lr in (("natural", 0.1), ("adam", 1e-2)):
        if name == "1L":
            net = SingleLayer(10, generator=torch.Generator().manual_seed(0))
        else:
            net = SKRSB(H, NETS.index(name), beta=betas[0])
        options = {"steps": 60, "batch": 500, "lr": lr, "final_lr": lr / 5, "seed": 1}
        training.minimise_free_energy(net, H, betas, optimiser=optimiser, **options)
        reached[optimiser] = exact.variational_free_energy(net, H, 1.5).kl.item()
    assert 0 < reached["natural"] < reached["adam"]


def test_a_single_layer_is_at_its_optimum_after_natural_steps():
    """Within one per cent of the least enumerated divergence, which L-BFGS finds from there."""
    H, beta = arnn.sherrington_kirkpatrick(8, 1), 1.0
    net = SingleLayer(8, generator=torch.Generator().manual_seed(0))
    options = {"steps": 300, "batch": 2000, "optimiser": "natural", "lr": 0.2, "final_lr": 2e-3}
    training.minimise_free_energy(net, H, [beta], **options)
    kl = exact.variational_free_energy(net, H, beta).kl
    found = kl.item()
    best = torch.optim.LBFGS(net.parameters(), max_iter=500, tolerance_grad=1e-10)

    def evaluate():
        best.zero_grad()
        value = exact.variational_free_energy(net, H, beta).kl
        value.backward()
        return value

    best.step(evaluate)
    optimum = exact.variational_free_energy(net, H, beta).kl.item()
    assert optimum > 1e-4
    assert optimum <= found < optimum * 1.01


def test_a_natural_run_that_was_stopped_ends_with_the_same_bits(tmp_path):
    class Stop(Exception):
        pass

    def stop(_net, _beta, index):
        if index == 2:
            raise Stop
        return {}

    H = arnn.sherrington_kirkpatrick(8, 1, dtype=torch.float32)
    options = {"steps": 5, "batch": 60, "optimiser": "natural", "refresh": 2, "seed": 4}
    betas, path = [0.4, 0.6, 0.8, 1.0], tmp_path / "checkpoint"
    whole, resumed = (SKRSB(H, 1, beta=0.4) for _ in range(2))
    training.minimise_free_energy(whole, H, betas, **options)
    with pytest.raises(Stop):
        training.minimise_free_energy(
            SKRSB(H, 1, beta=0.4), H, betas, checkpoint=path, after_temperature=stop, **options
        )
    with pytest.raises(ValueError, match=r"is of another run: its damping is 0.01, not 0.1"):
        training.minimise_free_energy(
            SKRSB(H, 1, beta=0.4), H, betas, checkpoint=path, damping=0.1, **options
        )
    training.minimise_free_energy(resumed, H, betas, checkpoint=path, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor)


# ---- What cannot be done -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "net",
    [
        MADE(4, 2, 2),
        OneParameter(4),
        SKRSB(arnn.sherrington_kirkpatrick(4, 1), 0, beta=1.0, learn_first_layer=True),
    ],
    ids=repr,
)
def test_a_net_without_a_natural_gradient_is_refused(net):
    with pytest.raises(TypeError, match="there is no natural gradient for"):
        training.minimise_free_energy(
            net, arnn.sherrington_kirkpatrick(4, 1), [1.0], optimiser="natural"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "sgd"}, 'optimiser must be "adam" or "natural", not \'sgd\''),
        ({"damping": 0}, "damping must be a positive finite number, not 0"),
        ({"refresh": 0}, "refresh must be an integer of at least 1, not 0"),
        ({"lr": math.inf}, "lr must be a positive finite number, not inf"),
    ],
)
def test_a_wrong_setting_is_refused(options, message):
    net = SingleLayer(4)
    with pytest.raises(ValueError, match=message):
        training.minimise_free_energy(
            net, arnn.curie_weiss(4), [1.0], **({"optimiser": "natural"} | options)
        )


def test_a_block_that_is_not_positive_definite_is_named():
    net = SingleLayer(4)
    with torch.no_grad():
        net.biases[0][2] = np.nan
    optimiser = NaturalGradient(net)
    with pytest.raises(FloatingPointError, match="conditional 2 is not positive definite"):
        optimiser.measure(exact.configurations(4))


def test_training_that_is_lost_stops():
    """A free energy far above that of the start of the temperature, though still finite."""
    H = arnn.sherrington_kirkpatrick(12, 1)
    net = SKRSB(H, 1, beta=1.0)
    with pytest.raises(FloatingPointError, match=r"the free energy became -0\.\d+ at beta = 1"):
        training.minimise_free_energy(net, H, [1.0], steps=200, batch=50, lr=1.0)
