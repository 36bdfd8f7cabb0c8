"""What every autoregressive net shares: sampling and likelihood from one recurrence.

A net is three small methods. `start` makes the state before any spin is known, `conditional`
reads the logit of spin i off the state, `observe` tells the state the value of spin i. For a net
with a Hamiltonian the state is the fields of Paper Eq. (10); for a net of the partial sum it is
that sum; for MADE it is the hidden units that can no longer change. Sampling therefore never
repeats a forward pass.
"""

import functools
import importlib
import warnings

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from ..hamiltonians import as_count


class AutoregressiveNet(nn.Module):
    """A normalised distribution Q(x) = prod_i Q(x_i | x_<i) over n spins (Paper, Sec. II).

    Subclasses implement `start`, `conditional` and `observe`, and may override `logits` by a
    parallel form of the same numbers.

    Args:
        n: number of spins.
        dtype, device: of parameters, buffers and samples; float64 on the CPU unless chosen
            otherwise (pass dtype=torch.float32 to train faster).

    Raises:
        ValueError: n is not a positive integer.
    """

    loops = None  # the module with its compiled loops, for the nets that have some

    def __init__(self, n, *, dtype=torch.float64, device=None):
        super().__init__()
        self.n = as_count("n", n)
        # An empty tensor that follows .to(), so that nets without parameters know their place too.
        self.register_buffer("_place", torch.empty(0, dtype=dtype, device=device), persistent=False)

    @property
    def dtype(self):
        """The floating-point type of the net's numbers and samples."""
        return self._place.dtype

    @property
    def device(self):
        """Where the net lives."""
        return self._place.device

    def start(self, batch):
        """The state before any spin is known, for `batch` samples."""
        raise NotImplementedError

    def conditional(self, i, state):
        """The logit ln Q(x_i=+1|x_<i) - ln Q(x_i=-1|x_<i), (batch,), from the state."""
        raise NotImplementedError

    def observe(self, i, x_i, state):
        """The state after spin i took the values x_i (batch,). May update `state` in place."""
        raise NotImplementedError

    def set_beta(self, beta):
        """Move the layers that the temperature fixes to beta; nothing to do for most nets.

        Raises:
            ValueError: there are such layers, and beta is not positive and finite.
        """

    def num_parameters(self):
        """How many numbers act in the architecture: masked weights do not count, fixed ones do."""
        return sum(p.numel() for p in self.parameters())

    def logits(self, x):
        """All conditional logits of spins x (batch, n); logit i depends on x[:, :i] only.

        Raises:
            ValueError: x is not (batch, n).
        """
        self._require_spins(x)
        state = self.start(len(x))
        columns = []
        for i in range(self.n):
            columns.append(self.conditional(i, state))
            state = self.observe(i, x[:, i], state)
        return torch.stack(columns, dim=1)

    def log_prob(self, x):
        """ln Q(x), (batch,), of spins x (batch, n): the chain rule, sum_i ln sigma(x_i logit_i).

        Raises:
            ValueError: as `logits`.
        """
        return logsigmoid(x * self.logits(x)).sum(1)

    def own_parameters(self, i):
        """Where the parameters of conditional i lie, if no other conditional has a share in them.

        Some may be left out if those that stay can do what they do.

        Returns:
            A list of pairs (tensor, index): tensor[index] is some of them.

        Raises:
            TypeError: the net has not been given this; most share parameters among conditionals.
        """
        raise TypeError(f"there is no natural gradient for {self!r}")

    def logit_slopes(self, i, x):
        """d logit_i / d theta_i at spins x (batch, n), (parameters, batch).

        theta_i are the numbers of `own_parameters`, flattened, in that order.

        Raises:
            TypeError: where `own_parameters` raises it.
        """
        raise TypeError(f"there is no natural gradient for {self!r}")

    @torch.no_grad()
    def sample(self, batch, generator=None):
        """Ancestral sampling: independent configurations, spin by spin.

        Args:
            batch: number of samples.
            generator: a torch.Generator on the net's device; the global one if None.

        Returns:
            x (batch, n) of +-1 and ln Q(x) (batch,).

        Raises:
            ValueError: batch is not a positive integer.
        """
        return self._sample(batch, generator)

    def sample_for_training(self, batch, generator=None):
        """As `sample`, with ln Q(x) differentiable in the net's parameters; the same errors."""
        x, _ = self.sample(batch, generator)
        return x, self.log_prob(x)

    def _sample(self, batch, generator):
        """As `sample`, with the gradient of ln Q(x) where `_draw` keeps it."""
        spins, logits = self._draw(self._noise(as_count("batch", batch), generator))
        # One row of spins is contiguous in the loop; the axes are moved once, at the end.
        return spins.movedim(0, -1).contiguous(), logsigmoid(spins * logits).sum(0)

    def _draw(self, noise):
        """Spins and their logits, (n, batch) both, from logistic noise (n, batch).

        The noise, and with it both, may have an axis of instances between these two.
        """
        spins, logits = [], []
        one = noise.new_ones(())
        state = self.start(noise.shape[-1])
        for i in range(self.n):
            logits.append(self.conditional(i, state))
            spins.append(torch.copysign(one, logits[i].detach() - noise[i]))
            state = self.observe(i, spins[i], state)
        return torch.stack(spins), torch.stack(logits)

    def _noise(self, batch, generator):
        """Logistic numbers (n, batch): x_i = +1 where its own lies below the logit.

        That is u < sigma(logit), for u uniform and ln u/(1-u) logistic.
        """
        uniform = torch.rand(
            (self.n, batch), generator=generator, dtype=self.dtype, device=self.device
        )
        return torch.logit(uniform)

    def _kernels(self):
        """The module of this net's compiled loops, where they can do its work; None elsewhere."""
        usable = self.loops and self.dtype == torch.float32 and self.device.type == "cpu"
        return compiled_loops(self.loops) if usable else None

    def _require_spins(self, x):
        if x.ndim != 2 or x.shape[1] != self.n:
            raise ValueError(f"spins must have shape (batch, {self.n}), not {tuple(x.shape)}")

    def extra_repr(self):
        """The size, for repr(net)."""
        return f"n={self.n}"

    def __repr__(self):
        # One line. PyTorch's own lists the tensors, with the device; checkpoints compare this text.
        return f"{type(self).__name__}({self.extra_repr()})"


class SumNet(AutoregressiveNet):
    """A net whose logit i depends on the earlier spins through their sum S alone.

    Subclasses implement `logit_of_sum`. Such a net has n(n+1)/2 distinct logits in all, so its
    free energy can be summed exactly (`arnn.partial_sums`).
    """

    def logit_of_sum(self, i, total):
        """Logit of spin i (0-based) at the partial sums `total`; returns their shape.

        `i` is an int, or an integer tensor that broadcasts against `total`.
        """
        raise NotImplementedError

    def logit_table(self):
        """Every logit, (n, n): entry (i, a) is spin i at S = 2a - i, for a = 0..i; zero beyond."""
        i = torch.arange(self.n, device=self.device)[:, None]
        a = torch.arange(self.n, device=self.device)[None, :]
        logits = self.logit_of_sum(i, (2 * a - i).to(self.dtype))
        return torch.where(a <= i, logits, torch.zeros_like(logits))

    def logits(self, x):
        """All conditional logits of spins x (batch, n) at once, from their partial sums."""
        self._require_spins(x)
        return self.logit_of_sum(torch.arange(self.n, device=self.device), x.cumsum(1) - x)

    def start(self, batch):
        """S = 0, (batch,)."""
        return torch.zeros(batch, dtype=self.dtype, device=self.device)

    def conditional(self, i, state):
        """The logit at the partial sum."""
        return self.logit_of_sum(i, state)

    def observe(self, i, x_i, state):
        """S + x_i."""
        return state + x_i


@functools.cache
def compiled_loops(module):
    """The module of this name, or None and one warning where Numba is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        warnings.warn(
            f"Numba is missing, so {module} does not load and plain PyTorch does its work, "
            f"far slower ({error})",
            stacklevel=2,
        )
        return None
