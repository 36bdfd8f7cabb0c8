"""The exact net of a sparse model: the H2-ARNN, its hidden layer summed by a transfer matrix."""

import numpy as np
import torch

from ..hamiltonians import as_positive
from ..lattices import narrow_boundaries, suffix_sums
from .base import AutoregressiveNet

MOST_NUMBERS = 500_000_000  # 4 GB in float64


class TransferMatrix(AutoregressiveNet):
    """The Boltzmann distribution of a model whose spins have few neighbours, exactly.

    Paper Eq. (5) sums over all configurations of the later spins. That sum depends on the past
    through the spins that have a later neighbour alone (`arnn.lattices.boundaries`), so that a
    table replaces it:

        logit_i = 2 beta (h_i + xi_ii) + ln T_{i+1}(x_i = +1) - ln T_{i+1}(x_i = -1).

    There is nothing to train. On a lattice of L columns the tables hold about n 2^L numbers, where
    the H2-ARNN has n 2^n. All are kept, and three times their memory is needed while they are
    summed.

    Args:
        H: a PairwiseHamiltonian with boundaries of at most 22 spins; the net takes its dtype and
            device.
        beta: inverse temperature.

    Raises:
        ValueError: beta is not positive and finite, a boundary is larger, or the tables hold more
            than 5e8 numbers.
    """

    def __init__(self, H, beta):
        super().__init__(H.n, dtype=H.dtype, device=H.device)
        self._H, self._kept = H, narrow_boundaries(H)
        sizes = [2 ** len(kept) for kept in self._kept[1:]]
        if sum(sizes) > MOST_NUMBERS:
            raise ValueError(
                f"the tables would hold {sum(sizes):.1e} numbers, and {MOST_NUMBERS:.1e} are the "
                "most; `arnn.lattices.log_partition` keeps one table at a time"
            )
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        where = {"dtype": H.dtype, "device": H.device}
        self.register_buffer("couplings", H.couplings.clone())
        self.register_buffer("fields", H.fields.clone())
        self.register_buffer("beta", torch.tensor(as_positive("beta", beta), **where))
        self.register_buffer("log_sums", torch.empty(self._starts[-1], **where))
        self.set_beta(beta)

    def set_beta(self, beta):
        """Move the net to beta: the tables are summed again."""
        self.beta.fill_(as_positive("beta", beta))
        tables = list(suffix_sums(self._H, beta))[-2::-1]  # T_1 to T_n
        self.log_sums.copy_(torch.from_numpy(np.concatenate([t.ravel() for t in tables])))

    def table(self, i):
        """ln T_{i+1} at every configuration of boundary i+1, flat: its last spin changes first."""
        return self.log_sums[self._starts[i] : self._starts[i + 1]]

    def start(self, batch):
        """No spin known: all are zero, (n, batch)."""
        return torch.zeros(self.n, batch, dtype=self.dtype, device=self.device)

    def conditional(self, i, state):
        """The logit from the known spins, (n, batch)."""
        direct = 2 * self.beta * (self.fields[i] + self.couplings[i, :i] @ state[:i])
        kept, table = self._kept[i + 1], self.table(i)
        if i not in kept:  # it has no later neighbour
            return direct
        place = torch.zeros(state.shape[1], dtype=torch.long, device=self.device)
        for s in kept[:-1]:
            place = 2 * place + (state[s] > 0)
        down, up = table.view(-1, 2)[place].T
        return direct + up - down

    def observe(self, i, x_i, state):
        """Spin i is known."""
        state[i] = x_i
        return state

    def num_parameters(self):
        """Couplings that are not zero, fields, and the numbers of all tables."""
        return int(torch.triu(self.couplings).count_nonzero()) + self.n + self._starts[-1]

    def extra_repr(self):
        """Size and temperature, for repr(net)."""
        return f"n={self.n}, beta={float(self.beta):g}"
