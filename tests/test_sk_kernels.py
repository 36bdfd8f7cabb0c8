"""The compiled k-RSB network against its plain torch form in float64."""

import math

import numpy as np
import pytest
import torch
from agreement import relative
from scipy.special import log_expit
from torch.nn.functional import logsigmoid

from arnn import PairwiseHamiltonian, sk_kernels
from arnn.nets import SKRSB, sk


def random_net(n, k, learn_first_layer, seed):
    """A net with fields whose parameters are all of order one, in float64."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.randn(n, n, generator=generator, dtype=torch.float64).triu(1) / n**0.5
    fields = 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    H = PairwiseHamiltonian(upper + upper.T, fields)
    net = SKRSB(H, k, beta=1.2, learn_first_layer=learn_first_layer, generator=generator)
    with torch.no_grad():
        for parameter in net.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.4 * noise)
    return net


def copy_in_float32(net):
    H = PairwiseHamiltonian(torch.zeros(net.n, net.n), net.fields.float(), dtype=torch.float32)
    learned = net.couplings.requires_grad
    copy = SKRSB(H, net.k, beta=1.0, learn_first_layer=learned)
    copy.load_state_dict(net.state_dict())
    return copy


@pytest.mark.parametrize("learn_first_layer", [False, True])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("n", "batch"), [(2, 5), (19, 301), (34, sk_kernels.TILE), (11, 1), (15, sk_kernels.CHUNK + 77)]
)
def test_log_prob_and_gradient_of_the_plain_form(n, batch, k, learn_first_layer):
    net = random_net(n, k, learn_first_layer, seed=n + k)
    fast = copy_in_float32(net)
    x, log_prob = fast.sample(batch, torch.Generator().manual_seed(1))
    reference = net.log_prob(x.double())
    assert relative(log_prob, reference) < 1e-5
    assert relative(fast.log_prob(x), reference) < 1e-5
    cost = torch.randn(batch, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (cost * reference).sum().backward()
    (cost.float() * fast.log_prob(x)).sum().backward()
    for (name, truth), found in zip(net.named_parameters(), fast.parameters(), strict=True):
        if truth.requires_grad and truth.grad.norm() > 0:
            assert relative(found.grad, truth.grad) < 1e-4, name


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("bias", [0.0, 0.8, 1.0])
def test_samples_of_one_past_are_treated_once(bias, learned):
    """As many pasts as distinct beginnings, and no gradient lost; all spins up if bias is 1."""
    generator = torch.Generator().manual_seed(3)
    batch, n = sk_kernels.CHUNK + 200, 14
    up = torch.rand((n, batch), generator=generator) < (1 + bias) / 2
    spins = 2 * up.float() - 1
    grad = torch.randn((n, batch), generator=generator)
    counts, _, sides, grads = sk_kernels._pasts(spins, grad, learned)
    for chunk, start in enumerate((0, sk_kernels.CHUNK)):
        here = spins[:, start : start + sk_kernels.CHUNK].numpy()
        for i in range(n + 1):
            distinct = len(np.unique(here[:i], axis=1).T) if i else 1
            assert counts[chunk, i] == (here.shape[1] if learned else distinct)
        for i in range(n):
            given = float(grad[i, start : start + sk_kernels.CHUNK].sum())
            assert grads[chunk, i].sum() == pytest.approx(given, abs=1e-3)
            there = np.arange(sk_kernels.CHUNK) < counts[chunk, i + 1]
            assert (np.abs(sides[chunk, i]) == there).all()
            assert not grads[chunk, i, counts[chunk, i] :].any()


def test_drawn_log_probabilities_carry_the_gradient():
    fast = copy_in_float32(random_net(15, 1, False, seed=3))
    x, log_prob = fast.sample_for_training(200, torch.Generator().manual_seed(4))
    same, _ = fast.sample(200, torch.Generator().manual_seed(4))
    assert torch.equal(x, same)
    log_prob.sum().backward()
    found = [p.grad.clone() for p in fast.parameters() if p.requires_grad]
    fast.zero_grad()
    fast.log_prob(x).sum().backward()
    for a, b in zip(found, (p.grad for p in fast.parameters() if p.requires_grad), strict=True):
        assert relative(a, b.double()) < 1e-6


@pytest.mark.parametrize("k", [0, 1, 2])
def test_fields_that_stay_zero_are_worked_out_once_and_rightly(k):
    net = random_net(12, k, False, seed=5)
    net.couplings[:, 4:9] = 0
    net.couplings[:3, 10] = 0
    fast = copy_in_float32(net)
    x, log_prob = fast.sample_for_training(50, torch.Generator().manual_seed(6))
    reference = net.log_prob(x.double())
    assert relative(log_prob, reference) < 1e-5
    cost = torch.randn(50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (cost * reference).sum().backward()
    (cost.float() * log_prob).sum().backward()
    for (name, truth), found in zip(net.named_parameters(), fast.parameters(), strict=True):
        if truth.requires_grad:
            assert relative(found.grad, truth.grad) < 1e-5, name


def test_a_learned_coupling_of_zero_has_its_gradient():
    net = random_net(7, 1, True, seed=6)
    with torch.no_grad():
        net.couplings.zero_()
    fast = copy_in_float32(net)
    x, log_prob = fast.sample_for_training(40, torch.Generator().manual_seed(6))
    weight = torch.arange(40) % 3 - 1
    (weight * net.log_prob(x.double())).sum().backward()
    (weight * log_prob).sum().backward()
    assert net.couplings.grad.norm() > 0
    assert relative(fast.couplings.grad, net.couplings.grad) < 1e-5


@pytest.mark.parametrize("bias", [-90.0, -20.0, -1.0, 0.0, 1e-4, 3.0, 20.0, 200.0])
def test_log_sigmoid_of_any_argument(bias):
    """One pair of spins, k = 0: the logit of spin 0 is ls(b) - ls(0), known in closed form."""
    layers = [torch.zeros(2, 2), torch.zeros(2), torch.zeros(2)]
    weights = torch.tensor([[[1.0], [-1.0]], [[0.0], [0.0]]])
    biases = torch.tensor([[[bias], [0.0]]])
    found = sk_kernels.logits(torch.ones(2, 3), (*layers, weights, biases))[0, 0]
    truth = log_expit(np.float64(np.float32(bias))) + np.log(2)
    assert float(found) == pytest.approx(truth, rel=3e-6, abs=3e-6)


@pytest.mark.parametrize("broken", ["weights", "biases"])
def test_a_parameter_that_is_not_a_number_shows(broken):
    """Training stops at a free energy that is not finite, so no polynomial may hide a NaN."""
    fast = copy_in_float32(random_net(10, 1, False, seed=8))
    with torch.no_grad():
        getattr(fast, broken)[1][0, 3] = math.nan
    _, log_prob = fast.sample_for_training(20)
    assert log_prob.isnan().all()


def test_the_number_of_threads_changes_nothing():
    fast = copy_in_float32(random_net(20, 1, True, seed=7))
    gradients = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        x, log_prob = fast.sample_for_training(600, torch.Generator().manual_seed(8))
        fast.zero_grad()
        (log_prob * torch.arange(600)).sum().backward()
        gradients.append([x] + [p.grad.clone() for p in fast.parameters()])
    torch.set_num_threads(before)
    for one, two in zip(*gradients, strict=True):
        assert torch.equal(one, two)


def test_float64_is_the_plain_form():
    net = random_net(9, 1, False, seed=9)
    x, log_prob = net.sample(20, torch.Generator().manual_seed(1))
    logits = torch.stack([net.logits(x[:, :])[:, i] for i in range(net.n)], dim=1)
    assert (log_prob - logsigmoid(x * logits).sum(1)).abs().max() < 1e-12


class Fused(SKRSB):
    """A net on the CPU that goes the way of those on a GPU, with another backend than theirs."""

    backend = "aot_eager"  # needs no compiler of its own

    loops = None

    def _chain(self, fields):
        return sk.compiled_chain(self.backend) if fields > 1 else super()._chain(fields)


def as_fused(net, backend="aot_eager"):
    """The same net as a `Fused` one."""
    H = PairwiseHamiltonian(torch.zeros(net.n, net.n), net.fields)
    copy = Fused(H, net.k, beta=1.0, learn_first_layer=net.couplings.requires_grad)
    copy.load_state_dict(net.state_dict())
    copy.backend = backend
    return copy


@pytest.mark.parametrize("learn_first_layer", [False, True])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_the_chain_that_gpus_compile_is_the_plain_form(k, learn_first_layer):
    net = random_net(9, k, learn_first_layer, seed=11)
    fused = as_fused(net)
    x, log_prob = fused.sample_for_training(33, torch.Generator().manual_seed(1))
    reference = net.log_prob(x)
    assert relative(log_prob, reference) < 1e-12
    assert relative(fused.log_prob(x), reference) < 1e-12
    cost = torch.randn(33, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (cost * reference).sum().backward()
    (cost * log_prob).sum().backward()
    for (name, truth), found in zip(net.named_parameters(), fused.parameters(), strict=True):
        if truth.requires_grad and truth.grad.norm() > 0:
            assert relative(found.grad, truth.grad) < 1e-12, name


def test_the_conditionals_share_what_is_compiled_on_a_gpu():
    compiled = []

    def backend(graph, _inputs):
        compiled.append(graph)
        return graph.forward

    for n in (7, 12):
        fused = as_fused(random_net(n, 1, False, seed=12), backend)
        fused.sample_for_training(10)
        fused.sample_for_training(20)
    assert len(compiled) == 1
    fused.sample(10)  # the same without gradients
    assert len(compiled) == 2


def test_a_gpu_without_its_compiler_takes_the_plain_form_and_says_so_once(monkeypatch):
    monkeypatch.setattr(sk.importlib.util, "find_spec", lambda _name: None)
    sk.compiled_chain.cache_clear()
    with pytest.warns(UserWarning, match="Triton missing"):
        assert sk.compiled_chain() is sk.nested_log_sigmoids
    assert sk.compiled_chain() is sk.nested_log_sigmoids
    sk.compiled_chain.cache_clear()
