"""The Curie-Weiss networks: CW_N, exact at every n, and its limit CW_inf (Paper, Sec. III.A)."""

import torch
from torch import nn

from ..exact import curie_weiss_magnetisation
from ..hamiltonians import as_finite, as_positive
from .base import SumNet


class CurieWeissN(SumNet):
    """CW_N: the exact conditionals of the Curie-Weiss model (Paper Eq. (11), corrected).

    Every number is analytic; nothing is trained.

    Args:
        n, beta, coupling, field: the model; J_ij = coupling / n.
        dtype, device: float64 on the CPU unless chosen otherwise.

    Raises:
        ValueError: n is not a positive integer, beta not positive, coupling or field not finite.
    """

    def __init__(self, n, beta, coupling=1.0, field=0.0, *, dtype=torch.float64, device=None):
        super().__init__(n, dtype=dtype, device=device)
        self.coupling, self.field = as_finite("coupling", coupling), as_finite("field", field)
        beta = torch.tensor(as_positive("beta", beta), dtype=dtype, device=device)
        self.register_buffer("beta", beta)

    def set_beta(self, beta):
        """Move every weight to the inverse temperature beta."""
        self.beta.fill_(as_positive("beta", beta))

    def hidden_layer(self, i):
        """Biases b+_k, b-_k (Paper Eq. (13)), weights w_k (Paper Eq. (14)) of spin i, each (n-i,).

        k = 0..n-1-i counts the down spins among the later ones, whose sum is M_k = n-1-i-2k.
        """
        later = self.n - 1 - i
        k = torch.arange(later + 1, dtype=self.dtype, device=self.device)
        sums = later - 2 * k
        slope = self.beta * self.coupling / self.n
        log_binomial = (
            torch.lgamma(torch.full_like(k, later + 1.0))
            - torch.lgamma(k + 1)
            - torch.lgamma(later - k + 1)
        )
        common = log_binomial + 0.5 * slope * sums**2 + self.beta * self.field * sums
        return common + slope * sums, common - slope * sums, slope * sums

    def logit_of_sum(self, i, total):
        """Paper Eq. (11) at partial sums `total` (any shape) of the spins before spin i, an int."""
        b_plus, b_minus, weights = self.hidden_layer(i)
        hidden = total[..., None] * weights
        direct = 2 * self.beta * (self.field + self.coupling * total / self.n)
        return direct + (hidden + b_plus).logsumexp(-1) - (hidden + b_minus).logsumexp(-1)

    def logit_table(self):
        """Every logit, (n, n), as in `SumNet.logit_table`, row by row."""
        table = torch.zeros(self.n, self.n, dtype=self.dtype, device=self.device)
        for i in range(self.n):
            table[i, : i + 1] = self.logit_of_sum(i, self._possible_sums(i))
        return table

    def logits(self, x):
        """All conditional logits of spins x (batch, n), read off the table."""
        self._require_spins(x)
        i = torch.arange(self.n, device=self.device)
        ups = ((x.cumsum(1) - x + i) / 2).round().long()
        return self.logit_table()[i, ups]

    def conditional(self, i, state):
        """The logit at the partial sum; each of the i+1 possible sums is worked out once."""
        ups = ((state + i) / 2).round().long()
        return self.logit_of_sum(i, self._possible_sums(i))[ups]

    def num_parameters(self):
        """2 shared numbers, and 4 for each of the n-i+1 terms of conditional i: 2n(n+1) + 2."""
        return 2 * self.n * (self.n + 1) + 2

    def _possible_sums(self, i):
        return torch.arange(-i, i + 1, 2, dtype=self.dtype, device=self.device)

    def extra_repr(self):
        """Size and model, for repr(net)."""
        return (
            f"n={self.n}, beta={float(self.beta):g}, "
            f"coupling={self.coupling:g}, field={self.field:g}"
        )


def limit_weights(n, beta, coupling=1.0, field=0.0):
    """omega1 of CW_inf, 2 beta J (1 - i/n) m_beta for i = 1..n (Paper Eq. (15), corrected).

    Args:
        n, beta, coupling, field: the model; m_beta is its magnetisation per spin for n -> infinity.

    Returns:
        Tensor (n,), float64, dimensionless.

    Raises:
        ValueError: as `arnn.exact.curie_weiss_magnetisation`.
    """
    later_fraction = 1 - torch.arange(1, n + 1, dtype=torch.float64) / n
    m = abs(curie_weiss_magnetisation(beta, coupling, field))
    return 2 * beta * coupling * later_fraction * m


class CurieWeissInfinity(SumNet):
    """CW_inf: logit_i = 2 beta h + omega0 S + omega1_i sgn(S), sgn(0) = 0 (Paper, above Eq. (15)).

    Args:
        n, beta, coupling, field: the model; J_ij = coupling / n.
        train_shared: whether omega0 is trained too, as in the runs released with the paper, or
            stays at 2 beta J / n, as in the paper's text.
        init: "analytic" for omega1 of `limit_weights`, or "zero".
        dtype, device: float64 on the CPU unless chosen otherwise.

    Raises:
        ValueError: n is not a positive integer, beta not positive, coupling or field not finite,
            or init is none of the two.
    """

    def __init__(
        self,
        n,
        beta,
        coupling=1.0,
        field=0.0,
        *,
        train_shared=False,
        init="analytic",
        dtype=torch.float64,
        device=None,
    ):
        super().__init__(n, dtype=dtype, device=device)
        self.coupling, self.field = as_finite("coupling", coupling), as_finite("field", field)
        if init not in ("analytic", "zero"):
            raise ValueError(f'init must be "analytic" or "zero", not {init!r}')
        beta = as_positive("beta", beta)
        omega1 = limit_weights(n, beta, coupling, field) * (init == "analytic")
        self.omega1 = nn.Parameter(omega1.to(dtype=dtype, device=device))
        shared = torch.tensor(2 * beta * self.coupling / n, dtype=dtype, device=device)
        self.omega0 = nn.Parameter(shared, requires_grad=train_shared)
        bias = torch.tensor(2 * beta * self.field, dtype=dtype, device=device)
        self.register_buffer("bias", bias)

    def set_beta(self, beta):
        """Move what the Hamiltonian fixes to beta: the bias, and omega0 unless it is trained."""
        beta = as_positive("beta", beta)
        self.bias.fill_(2 * beta * self.field)
        if not self.omega0.requires_grad:
            self.omega0.fill_(2 * beta * self.coupling / self.n)

    def logit_of_sum(self, i, total):
        """The logit at partial sums `total`."""
        return self.bias + self.omega0 * total + self.omega1[i] * torch.sign(total)

    def num_parameters(self):
        """n weights omega1 and omega0, and the bias where there is a field."""
        return self.n + 1 + (self.field != 0)

    def extra_repr(self):
        """Size and model, for repr(net)."""
        shared = "trained" if self.omega0.requires_grad else "fixed"
        return (
            f"n={self.n}, coupling={self.coupling:g}, field={self.field:g}, shared weight {shared}"
        )
