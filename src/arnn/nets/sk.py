"""The networks of replica symmetry breaking: SK_RS, SK_1RSB, SK_2RSB and so on (Paper, Sec. III.B).

All of them keep the first layer of the H2-ARNN, the fields xi_il of the spins drawn so far on every
later spin, and replace its exponentially wide second layer by one function of each field.
"""

import functools
import importlib.util
import math
import os
import shutil
import warnings

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from ..hamiltonians import as_count, as_positive
from .base import AutoregressiveNet


class SKRSB(AutoregressiveNet):
    """SK_kRSB: Paper Eq. (20) with the architectures displayed below it, for any k >= 0.

    With ls the log-sigmoid and xi_il = sum_{s<i} J_sl x_s, the logit of spin i is

        omega_i (h_i + xi_ii) + b_i
            + sum_{l>i, +-} w_0 ls(b_1 + w_1 ls( ... ls(b_{k+1} + w_{k+1} xi_il)))

    where every w and b has one value for each i, l and sign, and omega_i = 2 beta is fixed. The
    paper prints neither omega_i nor b_i, which Eq. (5) needs; the minus before ln rho- is
    absorbed in its w_0. k = 0 is SK_RS, k = 1 is SK_1RSB. Nothing here is special to the SK model:
    any couplings and fields will do.

    The numbers of a layer are a tensor (2, n(n-1)/2): sign, then the pairs i < l, sorted by i, so
    that those of one conditional are a slice (`pairs`).

    Args:
        H: a PairwiseHamiltonian; the net takes its dtype and device unless told otherwise.
        k: number of steps of replica symmetry breaking.
        beta: inverse temperature of omega and of the initial weights.
        init: "physics" for the conditionals of spins whose later ones are free, Eq. (5) without
            the J_ll' among the later spins, which every k represents exactly; "paper" for
            normal numbers of standard deviation 1/n, as in the runs released with the paper.
        learn_first_layer: train the J_sl and omega_i as well. Then the couplings of H are not
            used; those of the net start as normal numbers of standard deviation 1/n.
        generator: torch.Generator of the initial numbers that are random; the global one if None.
        dtype, device: those of H if None.

    Raises:
        ValueError: k is not an integer of at least 0, beta is not positive and finite, or init is
            none of the two.
    """

    loops = "arnn.sk_kernels"

    def __init__(
        self,
        H,
        k,
        *,
        beta,
        init="physics",
        learn_first_layer=False,
        generator=None,
        dtype=None,
        device=None,
    ):
        where = {"dtype": dtype or H.dtype, "device": device or H.device}
        super().__init__(H.n, **where)
        self.k, beta = as_count("k", k, at_least=0), as_positive("beta", beta)
        if init not in ("physics", "paper"):
            raise ValueError(f'init must be "physics" or "paper", not {init!r}')
        self.init = init
        self.register_buffer("beta", torch.tensor(beta, **where))
        self.register_buffer("fields", H.fields.to(**where, copy=True))
        if learn_first_layer:
            # Only J_sl with s < l ever acts, so the others stay at zero.
            couplings = torch.triu(_normal((self.n, self.n), generator), 1).to(**where)
            self.couplings = nn.Parameter(couplings)
        else:
            self.register_buffer("couplings", H.couplings.to(**where, copy=True))
        omega = torch.full((self.n,), 2 * beta, **where)
        self.omega = nn.Parameter(omega, requires_grad=learn_first_layer)
        make = self._physics_numbers if init == "physics" else self._random_numbers
        bias, weights, biases = make(beta, generator)
        self.bias = nn.Parameter(bias.to(**where))
        # w_0 ... w_{k+1} and b_1 ... b_{k+1}, from the output inwards as in the formula.
        self.weights = nn.ParameterList(w.to(**where, copy=True) for w in weights)
        self.biases = nn.ParameterList(b.to(**where, copy=True) for b in biases)

    def pairs(self, i):
        """The slice of a layer's second axis that conditional i owns: l = i+1 ... n-1."""
        start = i * self.n - i * (i + 1) // 2
        return slice(start, start + self.n - 1 - i)

    def _random_numbers(self, _beta, generator):
        """All normal with standard deviation 1/n."""
        shape = (2, self.n * (self.n - 1) // 2)
        weights = [_normal(shape, generator, self.n) for _ in range(self.k + 2)]
        biases = [_normal(shape, generator, self.n) for _ in range(self.k + 1)]
        return _normal((self.n,), generator, self.n), weights, biases

    def _physics_numbers(self, beta, _generator):
        """Free later spins: ln rho+- = sum_l ln 2cosh beta(h_l + xi_il +- J_il).

        Since ln 2cosh(x) = x - ls(2x), one log-sigmoid does it. More of them do it too: of
        exp(-ls(u)) = 1 + exp(-u) follows that k+1 nested ones give
        ls(ls(...ls(u))) = -ln(k + 1 + exp(-u)) = ls(u + ln(k+1)) - ln(k+1),
        and the last term cancels between the two signs.
        """
        couplings = self.couplings.detach().to("cpu", torch.float64)
        i, later = torch.triu_indices(self.n, self.n, 1)
        sign = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
        local = self.fields.to("cpu", torch.float64)[later] + sign * couplings[i, later]
        ones = torch.ones_like(local)
        weights = [-sign * ones] + [ones] * self.k + [2 * beta * ones]
        biases = [torch.zeros_like(local)] * self.k + [2 * beta * local - math.log(self.k + 1)]
        return 2 * beta * torch.triu(couplings, 1).sum(1), weights, biases

    @torch.no_grad()
    def set_beta(self, beta):
        """Move the net to beta: omega = 2 beta, and after a physics start all functions along.

        In the free-spins solution the fields enter through beta (h_l + xi_il +- J_il) alone, so
        b_i, w_{k+1} and b_{k+1} + ln(k+1) are multiplied by the ratio of the temperatures, and the
        physics start at one beta becomes that at another. A trained net is a better start too:
        annealed to beta = 2 in 8 temperatures of 100 steps, 12 spins end at a sixth of the
        divergence that they have if these numbers stay. After a start of the paper omega alone
        moves, as in the paper. A net that learns its first layer knows no beta and stays.
        """
        ratio = as_positive("beta", beta) / float(self.beta)
        if self.couplings.requires_grad:
            return
        self.beta.fill_(beta)
        self.omega.fill_(2 * beta)
        if self.init == "physics":
            self.bias.mul_(ratio)
            self.weights[-1].mul_(ratio)
            offset = math.log(self.k + 1)
            self.biases[-1].add_(offset).mul_(ratio).sub_(offset)

    def log_rho(self, i, later_fields):
        """ln rho+ and -ln rho- of spin i, (2, batch), at the fields xi_il, l > i, (n-1-i, batch).

        The display below Paper Eq. (20).
        """
        own = self.pairs(i)
        weights = [weight[:, own, None] for weight in self.weights]
        biases = [bias[:, own, None] for bias in self.biases]
        return self._chain(len(later_fields))(later_fields, weights, biases)

    def conditional(self, i, state):
        """Paper Eq. (20), from the fields on spin i and on the spins after it, (n-i, batch)."""
        direct = self.omega[i] * (self.fields[i] + state[0]) + self.bias[i]
        return direct + self.log_rho(i, state[1:]).sum(0)

    def start(self, batch):
        """No spin known: all fields xi are zero, (n, batch)."""
        return torch.zeros(self.n, batch, dtype=self.dtype, device=self.device)

    def observe(self, i, x_i, state):
        """The recurrence of Paper Eq. (10) for the spins after i; the state loses one row."""
        return torch.addcmul(state[1:], self.couplings[i, i + 1 :, None], x_i)

    def logits(self, x):
        """All conditional logits of spins x (batch, n), the fields by matrix products."""
        self._require_spins(x)
        if kernels := self._kernels():
            return kernels.logits(x.T, self._layers()).T
        spins = x.T.contiguous()
        columns = []
        for i in range(self.n):
            fields = self.couplings[:i, i:].T @ spins[:i]
            columns.append(self.conditional(i, fields))
        return torch.stack(columns, dim=1)

    def _moved(self, i):
        """The spins after i on which the past acts, and their places among the pairs.

        The fields on the others are zero in every sample, so that their log-sigmoids are a
        constant, which b_i can be as well. On a lattice drawn row by row a row is left.
        """
        own = self.pairs(i)
        acted = self.couplings[:i, i + 1 :].any(0).nonzero()[:, 0]
        if len(acted) == self.n - 1 - i:  # slices are views, which cost no copy
            return slice(i + 1, self.n), own
        return acted + i + 1, acted + own.start

    def own_parameters(self, i):
        """As `AutoregressiveNet.own_parameters`: b_i and w_0, then w_1, b_1, w_2, b_2, ...

        The numbers that only make a constant beside b_i are left out.
        """
        if self.couplings.requires_grad:
            return super().own_parameters(i)
        own = (slice(None), self._moved(i)[1])
        own_layers = [(self.bias, slice(i, i + 1)), (self.weights[0], own)]
        for weight, bias in zip(list(self.weights)[1:], self.biases, strict=True):
            own_layers += [(weight, own), (bias, own)]
        return own_layers

    @torch.no_grad()
    def logit_slopes(self, i, x):
        """As `AutoregressiveNet.logit_slopes`: the chain rule through the nested log-sigmoids."""
        moved, own = self._moved(i)
        # Of each layer, from the outermost inwards: what goes in, and the slope of what comes out.
        fields = self.couplings[:i, moved].T @ x.T[:i]
        inputs, slopes = [fields.expand(2, -1, -1)], []
        for bias, weight in zip(reversed(self.biases), reversed(self.weights), strict=False):
            u = torch.addcmul(bias[:, own, None], weight[:, own, None], inputs[0])
            inputs.insert(0, logsigmoid(u))
            slopes.insert(0, torch.sigmoid(-u))
        rows = [x.new_ones(1, 1, len(x)), inputs[0]]
        upstream = self.weights[0][:, own, None]
        for weight, slope, below in zip(list(self.weights)[1:], slopes, inputs[1:], strict=True):
            upstream = upstream * slope
            rows += [upstream * below, upstream]
            upstream = upstream * weight[:, own, None]
        return torch.cat([row.flatten(0, 1) for row in rows])

    def sample_for_training(self, batch, generator=None):
        """As `AutoregressiveNet.sample_for_training`, with no second pass."""
        return self._sample(batch, generator)

    def _draw(self, noise):
        """As `AutoregressiveNet._draw`, by the compiled loops where there are some."""
        kernels = self._kernels()
        return kernels.draw(noise, self._layers()) if kernels else super()._draw(noise)

    def _chain(self, fields):
        """What works out `log_rho`: compiled on a GPU, but for one field or none.

        PyTorch would compile a form of its own for each of these two.
        """
        on_gpu = self.device.type == "cuda"
        return compiled_chain() if on_gpu and fields > 1 else nested_log_sigmoids

    def _layers(self):
        """The numbers of the net as `arnn.sk_kernels` takes them."""
        base = self.omega * self.fields + self.bias
        weights, biases = torch.stack(tuple(self.weights)), torch.stack(tuple(self.biases))
        return self.couplings, self.omega, base, weights, biases

    def num_parameters(self):
        """(2k+3) n(n-1) + 2n, and n(n-1)/2 in the first layer if it is learned.

        The first layer of a fixed net belongs to the Hamiltonian. The paper's count for Fig. 6
        takes all n^2 entries of a learned one, of which those with s >= l never act.
        """
        idle = self.n * (self.n + 1) // 2 if self.couplings.requires_grad else 0
        return super().num_parameters() - idle

    def extra_repr(self):
        """Size, for repr(net)."""
        learned = ", learned first layer" if self.couplings.requires_grad else ""
        return f"n={self.n}, k={self.k}{learned}"


def nested_log_sigmoids(fields, weights, biases):
    """sum_l w_0 ls(b_1 + w_1 ls( ... ls(b_{k+1} + w_{k+1} xi_l))), (2, batch): one for each sign.

    All shapes may have the same axes before these, such as one of instances (`arnn.instances`).

    Args:
        fields: the xi_l, (pairs, batch).
        weights: w_0 ... w_{k+1}, a list of tensors (2, pairs, 1).
        biases: b_1 ... b_{k+1}, likewise.
    """
    hidden = fields[..., None, :, :]
    for bias, weight in zip(reversed(biases), reversed(weights[1:]), strict=True):
        hidden = logsigmoid(torch.addcmul(bias, weight, hidden))
    return (weights[0] * hidden).sum(-2)


@functools.cache
def compiled_chain(backend="inductor"):
    """`nested_log_sigmoids` fused by torch.compile, for GPUs; as it is, with one warning, without.

    One kernel for each direction then does a conditional: no log-sigmoid is stored, since the
    backward pass works it out again. The number of fields is left open (`dynamic`), so that the
    conditionals share the kernels; each k has kernels of its own, with gradients and without.
    """
    missing = _missing_for_inductor() if backend == "inductor" else []
    if missing:
        warnings.warn(
            f"{' and '.join(missing)} missing, so k-RSB networks run on the GPU in plain PyTorch, "
            "far slower",
            stacklevel=2,
        )
        return nested_log_sigmoids
    options = {"dynamic": True, "fullgraph": True, "recompile_limit": 64}
    return torch.compile(nested_log_sigmoids, backend=backend, **options)


def _missing_for_inductor():
    """What torch.compile needs for a GPU and this machine does not have, in words."""
    c_compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    found = {"Triton": importlib.util.find_spec("triton"), "a C compiler": c_compiler}
    return [name for name, there in found.items() if not there]


def _normal(shape, generator, n=None):
    """Normal numbers of standard deviation 1/n, where n is the shape's last length if None.

    Drawn on the CPU in float64, so that a seed means the same net on every device.
    """
    return torch.randn(shape, generator=generator, dtype=torch.float64) / (n or shape[-1])
