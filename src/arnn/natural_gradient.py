"""The natural gradient of nets whose conditionals share no parameters (Amari 1998).

The scores of different conditionals are uncorrelated, since each has mean zero given the earlier
spins, so the Fisher matrix of Q has one block for each conditional:

    F_i = < p_i (1 - p_i) d_i d_i^T >,   d_i = d logit_i / d theta_i,   p_i = sigma(logit_i),

where the average over x_i is already taken and that over the earlier spins is one over samples.
"""

import torch
from torch.linalg import solve_triangular
from torch.optim import Optimizer

from .hamiltonians import as_positive

# The largest KL divergence between the old and the new conditional that one step may make.
LARGEST_KL = 3e-4


class NaturalGradient(Optimizer):
    """theta_i <- theta_i - lr (F_i + damping)^-1 times the gradient, for each conditional i.

    The blocks are costly and change slowly, so they are measured by `measure` now and then and
    kept in between. A step that would move one conditional by a divergence of more than
    `LARGEST_KL`, judged by its block, is shortened for that conditional.

    How large lr may be is a matter of noise. A gradient from M samples has a covariance of about
    F_i Var/M, with Var the variance of ln Q + beta H; steps of size lr then keep the net at a
    divergence of lr P Var/(4M), where P = sum_i tr F_i (F_i + damping)^-1 counts the parameters
    that act. Since Var itself is about twice the divergence, the noise feeds itself
    once lr > 2M/P.

    The blocks take 4(2k+3)^2 n^3/3 numbers for SKRSB: 1.1 GB for k = 1, n = 200 in float32. Where
    the past acts on w spins of the later ones at most, as on a lattice, it is 4(2k+3)^2 n w^2.

    Args:
        net: an AutoregressiveNet with `own_parameters` and `logit_slopes`: SKRSB with a fixed first
            layer, SingleLayer, or Cavity.
        lr: step size, between 0 and 1; at 1 a quadratic free energy would be minimised in one step.
        damping: added to the eigenvalues of each block. It keeps directions that the samples do
            not determine from moving far; too small a value loses the training.

    Raises:
        TypeError: the net has no `own_parameters`.
        ValueError: lr or damping is not a positive finite number.
    """

    def __init__(self, net, lr=0.1, damping=1e-2):
        self.damping = as_positive("damping", damping)
        self._own = [net.own_parameters(i) for i in range(net.n)]
        self._net, self._factors = net, []
        super().__init__(net.parameters(), {"lr": as_positive("lr", lr)})

    @torch.no_grad()
    def measure(self, x):
        """Measure the blocks at samples x (batch, n) of the net, and factorise them.

        Raises:
            FloatingPointError: a block is not positive definite, after numbers that overflowed.
        """
        p = torch.sigmoid(self._net.logits(x)).T
        weights = (p * (1 - p) / len(x)).sqrt()
        self._factors = []
        for i, weight in enumerate(weights):
            block = _lower_gram(self._net.logit_slopes(i, x).mul_(weight))
            block.diagonal().add_(self.damping)
            factor, failed = torch.linalg.cholesky_ex(block)
            if failed:
                raise FloatingPointError(
                    f"the Fisher matrix of conditional {i} is not positive definite; "
                    "try a smaller lr or a larger damping"
                )
            self._factors.append(factor)

    @torch.no_grad()
    def step(self):
        """Move each conditional along its natural gradient; the blocks must have been measured."""
        lr = self.param_groups[0]["lr"]
        for own, factor in zip(self._own, self._factors, strict=True):
            gradient = torch.cat([tensor.grad[index].flatten() for tensor, index in own])
            half = solve_triangular(factor, gradient[:, None], upper=False)
            direction = solve_triangular(factor.T, half, upper=True)[:, 0]
            # The divergence of the step is lr^2 direction (F + damping) direction / 2 at most.
            # Kept as a tensor: a number would make a GPU wait for each conditional.
            direction *= (2 * LARGEST_KL / half.square().sum()).sqrt().div(lr).clamp(max=1)
            start = 0
            for tensor, index in own:
                part = tensor[index]
                end = start + part.numel()
                tensor[index] = part.sub(direction[start:end].view_as(part), alpha=lr)
                start = end


def _lower_gram(a):
    """The lower triangle of a a^T; what stands above it is not to be read.

    A block of rows at a time, each against the rows before it and itself: half the work of the
    full product. SciPy has a call for it, whose threads are at odds with PyTorch's.
    """
    product = a.new_empty(len(a), len(a))
    for low in range(0, len(a), 256):
        high = min(len(a), low + 256)
        product[low:high, :high] = a[low:high] @ a[:high].T
    return product
