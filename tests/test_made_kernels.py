"""The compiled loop of MADE and 1L against their plain torch form in float64."""

import math

import pytest
import torch
from agreement import check_law, check_training, relative
from torch.nn.functional import logsigmoid

from arnn import made_kernels
from arnn.nets import MADE, SingleLayer

SHAPES = [(1, 1), (2, 1), (2, 3), (3, 2), (4, 2)]  # depth and width


def random_net(n, depth, width, seed):
    """A net in float64 whose parameters are of order one, slopes of both signs among them."""
    generator = torch.Generator().manual_seed(seed)
    net = MADE(n, depth, width, generator=generator)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.mul_(2).add_(noise / max(1, parameter[0].numel()) ** 0.5)
    return net


def copy_in_float32(net):
    copy = MADE(net.n, net.depth, net.width, dtype=torch.float32)
    copy.load_state_dict(net.state_dict())
    return copy


@pytest.mark.parametrize(("depth", "width"), SHAPES)
@pytest.mark.parametrize(
    ("n", "batch"), [(1, 3), (2, 1), (5, made_kernels.TILE), (19, 2 * made_kernels.TILE + 5)]
)
def test_log_prob_and_gradient_of_the_plain_form(n, batch, depth, width):
    net = random_net(n, depth, width, seed=n + depth)
    check_training(net, copy_in_float32(net), batch)


@pytest.mark.parametrize(("depth", "width"), SHAPES)
def test_the_samples_are_those_of_the_plain_form(depth, width):
    """From the same noise, but where a logit lies within rounding of its noise."""
    net = random_net(30, depth, width, seed=3)
    fast = copy_in_float32(net)
    noise = net._noise(1000, torch.Generator().manual_seed(4))
    plain, _ = net._draw(noise)
    compiled, _ = fast._draw(noise.float())
    assert (compiled.double() == plain).all(0).double().mean() > 0.995


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (3, 2)])
def test_configurations_come_as_often_as_their_probability_says(depth, width):
    fast = copy_in_float32(random_net(4, depth, width, seed=5))
    x, _ = fast.sample(200_000, torch.Generator().manual_seed(6))
    check_law(x, fast, sigmas=4)


def test_with_and_without_the_gradient_the_samples_are_the_same():
    fast = copy_in_float32(random_net(15, 3, 2, seed=7))
    x, log_prob = fast.sample_for_training(200, torch.Generator().manual_seed(4))
    same, known = fast.sample(200, torch.Generator().manual_seed(4))
    assert torch.equal(x, same)
    assert torch.equal(log_prob, known)
    assert log_prob.requires_grad
    assert not known.requires_grad


def test_acausal_weights_neither_act_nor_move():
    fast = copy_in_float32(random_net(9, 2, 2, seed=8))
    generator = torch.Generator().manual_seed(9)
    x, log_prob = fast.sample_for_training(70, generator.manual_seed(9))
    with torch.no_grad():
        for layer, weight in enumerate(fast.weights):
            weight[fast._mask(layer) == 0] = 7.0
    again, same = fast.sample_for_training(70, generator.manual_seed(9))
    assert torch.equal(x, again)
    assert torch.equal(log_prob, same)
    (same * torch.arange(70)).sum().backward()
    for layer, weight in enumerate(fast.weights):
        assert not weight.grad[fast._mask(layer) == 0].any()
        assert weight.grad.any()


def test_one_layer_goes_the_same_way():
    fast = SingleLayer(12, dtype=torch.float32, generator=torch.Generator().manual_seed(1))
    x, log_prob = fast.sample_for_training(100, torch.Generator().manual_seed(2))
    assert relative(log_prob, log_prob_of_one_layer(fast, x)) < 1e-6
    assert fast._kernels() is made_kernels


def log_prob_of_one_layer(net, x):
    """ln Q by the formula of 1L, logit_i = b_i + sum_{s<i} W_is x_s, in float64."""
    weight, bias = net.weights[0].detach().double().tril(-1), net.biases[0].detach().double()
    logits = x.double() @ weight.T + bias
    return logsigmoid(x * logits).sum(1)


@pytest.mark.parametrize("broken", ["weights", "biases", "slopes"])
def test_a_parameter_that_is_not_a_number_shows(broken):
    """Training stops at a free energy that is not finite, so the loop may not hide a NaN."""
    fast = copy_in_float32(random_net(10, 3, 2, seed=8))
    with torch.no_grad():
        getattr(fast, broken)[1].fill_(math.nan)
    _, log_prob = fast.sample_for_training(20)
    assert log_prob.isnan().any()


def test_the_number_of_threads_changes_nothing():
    fast = copy_in_float32(random_net(20, 3, 2, seed=7))
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(fast.sample(600, torch.Generator().manual_seed(8)))
    torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_float64_is_the_plain_form():
    net = random_net(9, 2, 2, seed=9)
    assert net._kernels() is None
    x, log_prob = net.sample(20, torch.Generator().manual_seed(1))
    torch.testing.assert_close(log_prob, net.log_prob(x).detach(), rtol=0, atol=1e-12)
