"""The H2-ARNN: the Boltzmann distribution of pairwise spins as a network (Paper Eq. (5))."""

import torch

from ..exact import configurations
from ..hamiltonians import as_positive
from .base import AutoregressiveNet

MAX_SPINS = 20
# Hidden activations are made in slices of at most this many numbers, 128 MiB in float64.
MAX_ACTIVATIONS = 2**24


class H2ARNN(AutoregressiveNet):
    """The exact net of exp(-beta H)/Z, exponentially wide (Paper Eq. (7), corrected).

    Its state is the output of the first layer, the fields xi_l = sum_s J_sl x_s that the spins
    drawn so far exert on spin i (Paper Eq. (8)) and on every later spin l (Paper Eq. (9)); each new
    spin updates them by Paper Eq. (10).

    Args:
        H: a PairwiseHamiltonian of at most 20 spins; the net takes its dtype and device.
        beta: inverse temperature.

    Raises:
        ValueError: beta is not positive and finite, or H has more than 20 spins.
    """

    def __init__(self, H, beta):
        super().__init__(H.n, dtype=H.dtype, device=H.device)
        if H.n > MAX_SPINS:
            raise ValueError(
                f"the H2-ARNN of {H.n} spins would have {H.n} * 2^{H.n} numbers; "
                f"it is limited to {MAX_SPINS} spins"
            )
        self.register_buffer("couplings", H.couplings.clone())
        self.register_buffer("fields", H.fields.clone())
        self.register_buffer("beta", torch.tensor(as_positive("beta", beta), dtype=H.dtype))

    def set_beta(self, beta):
        """Move every layer to the inverse temperature beta."""
        self.beta.fill_(as_positive("beta", beta))

    def second_layer(self, i):
        """Weights w_c and biases b+_c, b-_c of the hidden layer of spin i (Paper, below Eq. (9)).

        One hidden unit per configuration c of the spins after i.

        Returns:
            w (2^(n-1-i), n-1-i), b_plus and b_minus (2^(n-1-i),).
        """
        if i == self.n - 1:
            empty = torch.zeros(1, dtype=self.dtype, device=self.device)
            return empty.reshape(1, 1)[:, :0], empty, empty
        later = configurations(self.n - 1 - i, dtype=self.dtype, device=self.device)
        couplings = self.couplings[i + 1 :, i + 1 :]
        internal = later @ self.fields[i + 1 :] + 0.5 * ((later @ couplings) * later).sum(1)
        to_spin_i = later @ self.couplings[i, i + 1 :]
        return (
            self.beta * later,
            self.beta * (internal + to_spin_i),
            self.beta * (internal - to_spin_i),
        )

    def log_rho(self, i, later_fields):
        """ln rho+ and ln rho- (Paper Eq. (6)), each (batch,), at the fields xi (batch, n-1-i)."""
        weights, b_plus, b_minus = self.second_layer(i)
        plus, minus = [], []
        for fields in later_fields.split(max(1, MAX_ACTIVATIONS // len(weights))):
            hidden = fields @ weights.T
            plus.append(torch.logsumexp(hidden + b_plus, 1))
            minus.append(torch.logsumexp(hidden + b_minus, 1))
        return torch.cat(plus), torch.cat(minus)

    def start(self, batch):
        """No spin known: all fields xi are zero, (batch, n)."""
        return torch.zeros(batch, self.n, dtype=self.dtype, device=self.device)

    def conditional(self, i, state):
        """The logit of Paper Eq. (5): direct field, then the two hidden sums."""
        log_plus, log_minus = self.log_rho(i, state[:, i + 1 :])
        return 2 * self.beta * (self.fields[i] + state[:, i]) + log_plus - log_minus

    def observe(self, i, x_i, state):
        """The recurrence of Paper Eq. (10), for all later spins at once."""
        return state + x_i[:, None] * self.couplings[i]

    def num_parameters(self):
        """n(n+1)/2 in the first layer, and sum_{i<n} 2^(n-i) (n-i+2) = n 2^n - 2 beyond."""
        first = self.n * (self.n + 1) // 2
        return first + sum(2**later * (later + 2) for later in range(1, self.n))

    def extra_repr(self):
        """Size and temperature, for repr(net)."""
        return f"n={self.n}, beta={float(self.beta):g}"
