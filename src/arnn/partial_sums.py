"""The exact free energy of nets that see only the sum of the past, by dynamic programming.

The partial sum S of a `SumNet` is a Markov chain, so nothing needs to be sampled: with pi_i(S) the
law of S before spin i and p = sigma(logit_i(S)),

    pi_{i+1}(S +- 1) gets pi_i(S) sigma(+-logit_i(S)).

The free energy follows from the cost still to come. With V_n(S) = beta E(S) after the last spin,

    V_i(S) = p [V_{i+1}(S+1) + ln p] + (1-p) [V_{i+1}(S-1) + ln(1-p)],   beta F = V_0(0),

and its gradient is

    d(beta F)/d logit_i(S) = pi_i(S) p (1-p) [V_{i+1}(S+1) - V_{i+1}(S-1) + logit_i(S)].

Both passes cost O(n^2), against O(2^n) for enumeration, and carry no sampling noise.
"""

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from .exact import VariationalFreeEnergy, curie_weiss_log_partition
from .hamiltonians import CurieWeiss, as_positive
from .nets.base import SumNet


class _FreeEnergyOfTable(torch.autograd.Function):
    """beta F as a function of the logit table (n, n) and the final costs beta E (n+1,).

    The recursions are n short steps, which NumPy starts several times faster than torch does.
    """

    @staticmethod
    def forward(ctx, table, final_cost):
        logits = table.detach().cpu()
        log_up, log_down = logsigmoid(logits).numpy(), logsigmoid(-logits).numpy()
        up, down = np.exp(log_up), np.exp(log_down)
        entropy_cost = up * log_up + down * log_down
        value, slopes = final_cost.cpu().numpy(), np.zeros_like(up)
        for i in reversed(range(len(table))):
            row = slice(0, i + 1)
            slopes[i, row] = value[1:] - value[:-1]
            value = value[:-1] + up[i, row] * slopes[i, row] + entropy_cost[i, row]
        ctx.gradient = up, down, slopes + logits.numpy()
        return table.new_tensor(value[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        up, down, advantage = ctx.gradient
        gradient = _laws(up, down)[:-1, :-1] * up * down * advantage
        return upstream * torch.as_tensor(gradient).to(upstream), None


def _laws(up, down):
    """The law of the number of up spins among the first i, as row i of an (n+1, n+1) array."""
    n = len(up)
    laws = np.zeros((n + 1, n + 1), dtype=up.dtype)
    laws[0, 0] = 1
    for i in range(n):
        now = laws[i, : i + 1]
        laws[i + 1, 1 : i + 2] = now * up[i, : i + 1]
        laws[i + 1, : i + 1] += now * down[i, : i + 1]
    return laws


def sum_distributions(net):
    """The exact law of the partial sum before each spin, and after the last one.

    Returns:
        (n+1, n+1): row i holds P(S = 2a - i) in column a = 0..i, and zeros beyond.

    Raises:
        TypeError: the net is not a SumNet.
    """
    _require_sum_net(net)
    table = net.logit_table().detach()
    laws = _laws(torch.sigmoid(table).cpu().numpy(), torch.sigmoid(-table).cpu().numpy())
    return torch.as_tensor(laws).to(table)


def free_energy(net, H, beta):
    """The exact variational free energy of a SumNet for a Curie-Weiss model, without sampling.

    Returns:
        VariationalFreeEnergy: beta F and KL(Q||P_B) of the whole system, scalar tensors that are
        differentiable (once) in the net's parameters.

    Raises:
        TypeError: the net is not a SumNet, or H is not a Curie-Weiss model.
        ValueError: their sizes differ, or beta is not positive.
    """
    _require_sum_net(net)
    if not isinstance(H, CurieWeiss):
        raise TypeError(f"H must be a Curie-Weiss model, whose energy depends on the sum, not {H}")
    if net.n != H.n:
        raise ValueError(f"the net has {net.n} spins and the Hamiltonian {H.n}")
    beta = as_positive("beta", beta)
    total = torch.arange(-H.n, H.n + 1, 2, dtype=net.dtype, device=net.device)
    value = _FreeEnergyOfTable.apply(net.logit_table(), beta * H.energy_of_sum(total))
    log_z = curie_weiss_log_partition(H.n, beta, H.coupling, H.field)
    return VariationalFreeEnergy(value, value + log_z)


def fisher_information(net, parameter):
    """The exact Fisher information of each entry of a parameter of a SumNet.

    That of an entry is the sum of pi_i(S) p (1-p) (d logit_i(S)/d entry)^2 over S, with pi_i of
    `sum_distributions`, and over the conditionals i that it acts on.

    Args:
        net: a SumNet.
        parameter: one of its parameters, (n,) with an entry for each conditional, or () if all
            conditionals share it.

    Returns:
        A tensor of the parameter's shape.

    Raises:
        TypeError: the net is not a SumNet.
        ValueError: the parameter has another shape.
    """
    _require_sum_net(net)
    if parameter.shape not in ((), (net.n,)):
        raise ValueError(f"a parameter must be (n,) or (), not {tuple(parameter.shape)}")
    table = net.logit_table()
    upstream = torch.zeros_like(table, requires_grad=True)
    (pulled,) = torch.autograd.grad(table, parameter, upstream, create_graph=True)
    # Backwards twice is forwards: the change of each logit when all entries grow at the same rate.
    (slopes,) = torch.autograd.grad(pulled.sum(), upstream)
    weight = sum_distributions(net)[:-1, :-1] * torch.sigmoid(table) * torch.sigmoid(-table)
    by_conditional = (weight.detach() * slopes**2).sum(1)
    return by_conditional if parameter.ndim else by_conditional.sum()


def _require_sum_net(net):
    if not isinstance(net, SumNet):
        raise TypeError(
            f"the net must see only the sum of the past, and {type(net).__name__} sees more"
        )
