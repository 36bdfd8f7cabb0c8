"""How tests compare what a net does with what it should do."""

import torch


def relative(found, truth):
    """The norm of the difference of two tensors over that of the second."""
    difference = found.detach().double() - truth.detach()
    return float(difference.norm() / truth.detach().norm())


def check_training(net, fast, batch):
    """Samples of a net in float32 have the ln Q and the gradient of its copy in float64."""
    x, log_prob = fast.sample_for_training(batch, torch.Generator().manual_seed(1))
    reference = net.log_prob(x.double())
    assert relative(log_prob, reference) < 1e-5
    cost = torch.randn(batch, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (cost * reference).sum().backward()
    (cost.float() * log_prob).sum().backward()
    assert any(truth.grad is not None and truth.grad.any() for truth in net.parameters())
    for (name, truth), found in zip(net.named_parameters(), fast.parameters(), strict=True):
        if truth.grad is not None and truth.grad.norm() > 0:
            assert relative(found.grad, truth.grad) < 1e-4, name
        else:
            assert found.grad is None or not found.grad.any(), name


def check_law(x, net, sigmas=4.5):
    """The frequencies of all configurations are the probabilities, within so many sigma."""
    places = ((x > 0).double() @ 2.0 ** torch.arange(net.n, dtype=torch.float64)).long()
    counts = torch.bincount(places, minlength=2**net.n)
    states = 2 * ((torch.arange(2**net.n)[:, None] >> torch.arange(net.n)) & 1) - 1
    p = net.log_prob(states.to(net.dtype)).exp().detach()
    sigma = (p * (1 - p) / len(x)).sqrt()
    assert ((counts / len(x) - p).abs() < sigmas * sigma + 1e-9).all()
