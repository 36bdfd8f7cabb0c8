"""The k-RSB network written as the paper's equations stand, the yardstick of the benchmarks.

Each conditional is a module of its own. It works out all fields of the first layer afresh by a
matrix product, its own nested log-sigmoids, a probability; spins are drawn by one call of a
conditional after another, the log-probability is a second pass, and PyTorch's autograd does the
gradient. That is how one writes the network from the text, and how the code released with the
paper is organised (Biazzo, h2arnn, 2023). Nothing here is slow on purpose.
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class LiteralConditional(nn.Module):
    """Q(x_i = +1 | x_<i) of Paper Eq. (20) with the displays below it, corrected; i from 0.

    The numbers are those of one conditional of an `arnn.nets.SKRSB`, so that both are one net.
    """

    def __init__(self, net, i):
        super().__init__()
        own = net.pairs(i)
        self.register_buffer("couplings", net.couplings[:i, i:].detach().clone())
        self.register_buffer("omega", net.omega[i].detach().clone())
        self.register_buffer("field", net.fields[i].clone())
        self.bias = nn.Parameter(net.bias[i].detach().clone())
        copies = [[t[:, own].detach().clone() for t in part] for part in (net.weights, net.biases)]
        self.weights, self.biases = (nn.ParameterList(part) for part in copies)

    def forward(self, earlier):
        """The probability of x_i = +1, (batch,), from the earlier spins (batch, i)."""
        xi = earlier @ self.couplings  # (batch, n - i): on spin i itself, then on the later ones
        logit = self.omega * (self.field + xi[:, 0]) + self.bias
        for sign in range(2):
            hidden = xi[:, 1:]
            for weight, bias in zip(reversed(self.weights), reversed(self.biases), strict=False):
                hidden = logsigmoid(bias[sign] + weight[sign] * hidden)
            logit = logit + (self.weights[0][sign] * hidden).sum(1)
        return torch.sigmoid(logit)


class LiteralNetwork(nn.Module):
    """All conditionals, with the two calls that `arnn.training.score_function_loss` needs."""

    def __init__(self, net):
        super().__init__()
        self.conditionals = nn.ModuleList(LiteralConditional(net, i) for i in range(net.n))
        self.like = net.bias.detach()[:0]

    def log_prob(self, x):
        """ln Q(x), (batch,), of spins (batch, n), conditional by conditional."""
        total = torch.zeros_like(x[:, 0])
        for i, conditional in enumerate(self.conditionals):
            p = conditional(x[:, :i])
            total = total + torch.log(torch.where(x[:, i] > 0, p, 1 - p))
        return total

    @torch.no_grad()
    def sample(self, batch, generator=None):
        """Spins (batch, n), drawn one after another, and ln Q of them from a pass of its own."""
        x = self.like.new_zeros(batch, len(self.conditionals))
        for i, conditional in enumerate(self.conditionals):
            p = conditional(x[:, :i])
            x[:, i] = 2 * torch.bernoulli(p, generator=generator) - 1
        return x, self.log_prob(x)

    def sample_for_training(self, batch, generator=None):
        """As `sample`, with ln Q differentiable."""
        x = self.like.new_zeros(batch, len(self.conditionals))
        with torch.no_grad():
            for i, conditional in enumerate(self.conditionals):
                p = conditional(x[:, :i])
                x[:, i] = 2 * torch.bernoulli(p, generator=generator) - 1
        return x, self.log_prob(x)


@torch.no_grad()
def sample_by_forward_passes(net, batch, generator=None):
    """Spins (batch, n) of any net by a full forward pass for each of them, as MADE is often drawn.

    Args:
        net: an `arnn.nets.AutoregressiveNet` with a parallel `logits`.
        batch: number of samples.
        generator: a torch.Generator; the global one if None.
    """
    x = torch.zeros(batch, net.n, dtype=net.dtype)
    for i in range(net.n):
        p = torch.sigmoid(net.logits(x)[:, i])
        x[:, i] = 2 * torch.bernoulli(p, generator=generator) - 1
    return x
