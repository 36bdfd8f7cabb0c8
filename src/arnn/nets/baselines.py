"""The networks that the paper compares with: 1P, 1L and MADE (Paper, Sec. IV)."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import linear, prelu

from ..hamiltonians import as_count
from .base import AutoregressiveNet, SumNet


class OneParameter(SumNet):
    """1P: logit_i = omega_i S, one weight for each conditional (Paper, Sec. IV). Starts at zero.

    Args:
        n: number of spins.
        dtype, device: float64 on the CPU unless chosen otherwise.

    Raises:
        ValueError: n is not a positive integer.
    """

    def __init__(self, n, *, dtype=torch.float64, device=None):
        super().__init__(n, dtype=dtype, device=device)
        self.omega = nn.Parameter(torch.zeros(n, dtype=dtype, device=device))

    def logit_of_sum(self, i, total):
        """omega_i times the partial sums `total`."""
        return self.omega[i] * total


class MADE(AutoregressiveNet):
    """MADE_dw: masked linear layers, PReLU between them (Germain et al. 2015; Paper, Sec. IV).

    `depth` counts the masked linear layers, as the runs released with the paper do and as the
    paper does when it calls 1L "MADE_11": there are depth - 1 hidden layers of width * n units.
    The paper's sentence "d number of hidden layers" would make it one layer more.

    Hidden unit u of any layer belongs to site u // width, and sees the spins before that site.
    So once those are drawn it is final, and sampling makes each unit once.

    Args:
        n: number of spins.
        depth: number of masked linear layers, at least 1.
        width: hidden units for each spin and hidden layer, at least 1.
        generator: torch.Generator of the initial weights; the global one if None.
        init: "pytorch" for PyTorch's defaults, weights uniform in +-1/sqrt(inputs) and slopes
            0.25; "released" for those of the runs released with the paper (Biazzo, h2arnn, 2023),
            slopes 0.5 and weights enlarged by the root of the inverse unmasked fraction.
        dtype, device: float64 on the CPU unless chosen otherwise.

    Raises:
        ValueError: n, depth or width is not a positive integer, or init is none of the two.
    """

    loops = "arnn.made_kernels"

    def __init__(
        self,
        n,
        depth=2,
        width=2,
        *,
        generator=None,
        init="pytorch",
        dtype=torch.float64,
        device=None,
    ):
        super().__init__(n, dtype=dtype, device=device)
        if init not in ("pytorch", "released"):
            raise ValueError(f'init must be "pytorch" or "released", not {init!r}')
        released = init == "released"
        self.depth, self.width = as_count("depth", depth), as_count("width", width)
        # Units of each layer, for one site: the spins themselves, then the hidden ones, the logit.
        self._units = [1] + [self.width] * (self.depth - 1) + [1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.slopes = nn.ParameterList()
        for layer, (inputs, outputs) in enumerate(pairwise(self._units)):
            mask = self._mask(layer).to(dtype=dtype, device=device)
            self.register_buffer(f"mask_{layer}", mask, persistent=False)
            # Drawn on the CPU in float64, so that a seed means the same net on every device.
            bound = (inputs * n) ** -0.5
            weight = _uniform((outputs * n, inputs * n), bound, generator)
            if released:
                weight *= float(mask.mean()) ** -0.5
            self.weights.append(nn.Parameter(weight.to(mask) * mask))
            self.biases.append(nn.Parameter(_uniform((outputs * n,), bound, generator).to(mask)))
            if layer < self.depth - 1:
                start = 0.5 if released else 0.25
                slope = torch.full((outputs * n,), start, dtype=dtype, device=device)
                self.slopes.append(nn.Parameter(slope))

    def _mask(self, layer):
        """1 where an output unit may see an input unit of this layer, (outputs, inputs)."""
        sites = torch.arange(self.n)
        seen = sites.repeat_interleave(self._units[layer])[None, :]
        seeing = sites.repeat_interleave(self._units[layer + 1])[:, None]
        # Only the first layer excludes the site itself: its inputs are the spins.
        return seen < seeing if layer == 0 else seen <= seeing

    def masked_weight(self, layer):
        """The weights of a layer with the acausal ones set to zero, (outputs, inputs)."""
        return self.weights[layer] * getattr(self, f"mask_{layer}")

    def logits(self, x):
        """All conditional logits of spins x (batch, n) in one forward pass."""
        self._require_spins(x)
        units = x
        for layer in range(self.depth):
            units = linear(units, self.masked_weight(layer), self.biases[layer])
            if layer < self.depth - 1:
                units = prelu(units, self.slopes[layer])
        return units

    def start(self, batch):
        """Room for the spins and the hidden units, one (units, batch) tensor for each layer."""
        return [
            torch.empty(units * self.n, batch, dtype=self.dtype, device=self.device)
            for units in self._units[:-1]
        ]

    def conditional(self, i, state):
        """Finish the hidden units of site i in each layer, then its logit; updates `state`."""
        for layer in range(self.depth):
            seen = i if layer == 0 else (i + 1) * self._units[layer]
            rows = slice(i * self._units[layer + 1], (i + 1) * self._units[layer + 1])
            weight, bias = self.weights[layer][rows, :seen], self.biases[layer][rows, None]
            units = torch.addmm(bias, weight, state[layer][:seen])
            if layer < self.depth - 1:
                state[layer + 1][rows] = prelu(units[None], self.slopes[layer][rows])[0]
        return units[0]

    def observe(self, i, x_i, state):
        """Write spin i into the first tensor of `state`, in place."""
        state[0][i] = x_i
        return state

    def sample_for_training(self, batch, generator=None):
        """As `AutoregressiveNet.sample_for_training`; no second pass by the compiled loop."""
        if self._kernels():
            return self._sample(batch, generator)
        return super().sample_for_training(batch, generator)

    def _draw(self, noise):
        """As `AutoregressiveNet._draw`; by the compiled loop the logits have their gradient."""
        kernels = self._kernels()
        return (
            kernels.draw(noise, self._units, *self._layers()) if kernels else super()._draw(noise)
        )

    def _layers(self):
        """Weights, biases and slopes as `arnn.made_kernels` takes them."""
        weights = [self.masked_weight(layer).flatten() for layer in range(self.depth)]
        slopes = [self.biases[0].new_empty(0), *self.slopes]  # 1L has none
        return torch.cat(weights), torch.cat(tuple(self.biases)), torch.cat(slopes)

    def num_parameters(self):
        """Unmasked weights, biases and slopes; the paper counts the masked weights as well."""
        masked = sum(int((getattr(self, f"mask_{k}") == 0).sum()) for k in range(self.depth))
        return super().num_parameters() - masked

    def extra_repr(self):
        """Size, for repr(net)."""
        return f"n={self.n}, depth={self.depth}, width={self.width}"


class SingleLayer(MADE):
    """1L: one masked linear layer, logit_i = b_i + sum_{s<i} W_is x_s; the same as MADE_11.

    Args:
        n: number of spins.
        generator, dtype, device: as for `MADE`.

    Raises:
        ValueError: n is not a positive integer.
    """

    def __init__(self, n, *, generator=None, dtype=torch.float64, device=None):
        super().__init__(n, 1, 1, generator=generator, dtype=dtype, device=device)

    def own_parameters(self, i):
        """b_i and W_is, s < i."""
        return [(self.biases[0], slice(i, i + 1)), (self.weights[0], (i, slice(0, i)))]

    def logit_slopes(self, i, x):
        """1 and the earlier spins, (i+1, batch)."""
        return torch.cat((x.new_ones(1, len(x)), x.T[:i]))


def _uniform(shape, bound, generator):
    return (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1) * bound
