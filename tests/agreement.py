"""How tests compare what a net does with what it should do."""

import torch


def relative(found, truth):
    """The norm of the difference of two tensors over that of the second."""
    difference = found.detach().double() - truth.detach()
    return float(difference.norm() / truth.detach().norm())


def check_law(x, net, sigmas=4.5):
    """The frequencies of all configurations are the probabilities, within so many sigma."""
    places = ((x > 0).double() @ 2.0 ** torch.arange(net.n, dtype=torch.float64)).long()
    counts = torch.bincount(places, minlength=2**net.n)
    states = 2 * ((torch.arange(2**net.n)[:, None] >> torch.arange(net.n)) & 1) - 1
    p = net.log_prob(states.to(net.dtype)).exp().detach()
    sigma = (p * (1 - p) / len(x)).sqrt()
    assert ((counts / len(x) - p).abs() < sigmas * sigma + 1e-9).all()
