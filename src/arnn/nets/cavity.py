"""The cavity network: the iteration of the TAP equations, unrolled, with learned gains.

The replica networks of `arnn.nets.sk` average over the couplings among the spins that are not drawn
yet. Those couplings are known, and here they are the weights of the hidden layers.
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint

from ..hamiltonians import as_count, as_positive
from .base import AutoregressiveNet

# Gains of each iteration: of the field, of the couplings, of the reaction, and of the memory.
START = (1.0, 1.0, 1.0, 0.5)
# The shares of couplings other than zero below which the zeros are left out, where both ways take
# about the same time: of the whole model, in which with more of them two bonds lead to nearly all
# spins, and of one matrix of couplings, which is then multiplied in sparse form.
SPARSE_MODEL = 0.1
SPARSE_MATRIX = 0.05


class Cavity(AutoregressiveNet):
    """Conditionals from the magnetisations that the later spins have in the fields of the past.

    Paper Eq. (5) compares the partition functions of the later spins, given x_i = +1 and -1. For
    weak couplings their ratio is that of one spin in its cavity field,

        logit_i = 2 beta (a_i (h_i + xi_ii) + b_i sum_{l>i} J_il m_l),

    where m_l are the magnetisations of the spins l > i by themselves, in the fields h_l + xi_il.
    The equations of Thouless, Anderson and Palmer (1977) for them are iterated `depth` times from
    m = 0, with the time indices of Bolthausen (2014), under which the reaction term goes with the
    magnetisation of the step before:

        m(t+1) = d m(t) + (1 - d) tanh beta( g_f (h + xi) + g_J J m(t) - g_R v(t) m(t-1) ),
        v_l(t) = beta sum_l' J_ll'^2 (1 - m_l'(t)^2).

    Each step is a layer whose weights are the couplings. Learned are the gains g_f, g_J, g_R and
    the memory d of each conditional and step, and the a_i and b_i; all start at 1 but d, at 1/2,
    which is the plain iteration. Without fields the logits are odd in the past, so that both of two
    states related by a flip of all spins are found or neither.

    A conditional takes about 2 depth (n-i)^2 multiplications a sample, so that a sample costs of
    the order of n^3, where the log-sigmoid networks cost n^2. If fewer than a tenth of the
    couplings differ from zero, a conditional works with the later spins alone that lie within
    `depth` bonds of it, on which it depends (`light_cones`), and with many of these it multiplies
    by the couplings among them that are not zero. The logits are the same up to rounding.

    Args:
        H: a PairwiseHamiltonian; the net takes its dtype and device unless told otherwise.
        depth: number of iterations.
        beta: inverse temperature; `set_beta` moves it, the gains stay.
        dtype, device: those of H if None.

    Raises:
        ValueError: depth is not an integer of at least 1, or beta is not positive and finite.
    """

    loops = "arnn.cavity_kernels"
    _shares_pasts = True  # samples whose earlier spins are the same are one column

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # The loops are of the iteration as it is written here. Whoever changes it goes without, and
        # finds each sample in its own column, where something may be kept for the next conditional.
        if vars(cls).keys() & {"magnetisations", "conditional", "_logit"}:
            cls.loops, cls._shares_pasts = None, False

    def __init__(self, H, depth, *, beta, dtype=None, device=None):
        where = {"dtype": dtype or H.dtype, "device": device or H.device}
        super().__init__(H.n, **where)
        self.depth = as_count("depth", depth)
        self.register_buffer("beta", torch.tensor(as_positive("beta", beta), **where))
        self.register_buffer("fields", H.fields.to(**where, copy=True))
        self.register_buffer("couplings", H.couplings.to(**where, copy=True))
        self.register_buffer("squares", self.couplings**2, persistent=False)
        sparse = self.couplings.count_nonzero() < SPARSE_MODEL * self.n**2
        self._cones = light_cones(self.couplings, self.depth) if sparse else None
        start = torch.tensor(START, **where)
        self.gains = nn.Parameter(start.expand(self.n, self.depth, 4).clone())
        self.readout = nn.Parameter(torch.ones(self.n, 2, **where))

    @torch.no_grad()
    def set_beta(self, beta):
        """Move the net to beta; the gains, which have no unit, stay."""
        self.beta.fill_(as_positive("beta", beta))

    def magnetisations(self, i, later_fields, gains):
        """m_l of the spins l > i, (n-1-i, batch), in the fields xi_il, (n-1-i, batch).

        Of a sparse model both are of the spins alone that conditional i depends on. `gains` is
        (depth, 4), or (depth, 4, batch) for gains of each sample.
        """
        later = self._later(i)
        couplings, squares = self._among(later)
        local = self.fields[later, None] + later_fields
        m = before = torch.zeros_like(later_fields)
        for field, coupling, reaction, memory in gains:
            onsager = self.beta * (squares @ (1 - m * m)) * before
            new = torch.tanh(
                self.beta * (field * local + coupling * (couplings @ m) - reaction * onsager)
            )
            m, before = memory * m + (1 - memory) * new, m
        return m

    def conditional(self, i, state):
        """The logit from the fields on spin i and on the spins after it, (n-i, batch).

        Those on which it does not depend in a sparse model (`light_cones`) may be left out.
        """
        return self._logit(i, self._in_cone(i, state), self.gains[i], self.readout[i])

    def _logit(self, i, state, gains, readout):
        cavity = readout[0] * (self.fields[i] + state[0])
        if len(state) > 1:
            m = self.magnetisations(i, state[1:], gains)
            cavity = cavity + readout[1] * (self.couplings[i, self._later(i)] @ m)
        return 2 * self.beta * cavity

    def _later(self, i):
        """The later spins that conditional i depends on: a slice, or of a sparse model a tensor."""
        return slice(i + 1, None) if self._cones is None else self._cones[i][1:]

    def _among(self, later):
        """The couplings among the spins `later`, and their squares."""
        if self._cones is None:
            return self.couplings[later, later], self.squares[later, later]
        couplings = self.couplings[later[:, None], later]
        return in_best_form(couplings), in_best_form(couplings**2)

    def _in_cone(self, i, state):
        """Of the fields on spin i and later ones, (n-i, batch), those that conditional i sees."""
        if self._cones is None or len(state) == len(self._cones[i]):
            return state
        return state[self._cones[i] - i]

    def _fields_of(self, i, spins):
        """The fields of the spins before i, given all (n, batch), that conditional i sees."""
        if self._cones is None:
            return self.couplings[:i, i:].T @ spins[:i]
        return in_best_form(self.couplings[self._cones[i], :i]) @ spins[:i]

    def start(self, batch):
        """No spin known: all fields xi are zero, (n, batch)."""
        return torch.zeros(self.n, batch, dtype=self.dtype, device=self.device)

    def observe(self, i, x_i, state):
        """The recurrence of Paper Eq. (10) for the spins after i; the state loses one row."""
        couplings, state = self.couplings[i, i + 1 :], state[1:]
        if self._cones is None:
            return torch.addcmul(state, couplings[:, None], x_i)
        near = couplings.nonzero()[:, 0]
        state[near] += couplings[near, None] * x_i
        return state

    def logits(self, x):
        """All conditional logits of spins x (batch, n).

        For the gradient a conditional is worked out again in the backward pass, so that the layers
        of one conditional at a time are in memory.
        """
        self._require_spins(x)
        spins = x.T.contiguous()
        columns = []
        for i in range(self.n):
            fields = self._fields_of(i, spins)
            columns.append(checkpoint(self.conditional, i, fields, use_reentrant=False))
        return torch.stack(columns, dim=1)

    def sample_for_training(self, batch, generator=None):
        """As `AutoregressiveNet.sample_for_training`, with no second pass.

        The slopes of a logit are taken while the spin is drawn, for each past, so that the layers
        of one conditional at a time are in memory and none is worked out twice. ln Q comes with
        this gradient, but not with higher ones.
        """
        noise, kept = self._noise(as_count("batch", batch), generator), []
        with torch.no_grad():
            spins, logits = self._draw(noise, kept)
        log_prob = logsigmoid(spins * logits).sum(0)
        by_logit = spins * torch.sigmoid(-spins * logits)  # d ln Q / d logit
        own = torch.cat((self.gains.flatten(1), self.readout), 1)
        zero = own - own.detach()  # brings the gradient, and no value
        moves = [(zero[i] @ slopes)[past] for i, (slopes, past) in enumerate(kept)]
        return spins.T.contiguous(), log_prob + (torch.stack(moves) * by_logit).sum(0)

    def _draw(self, noise, kept=None):
        """As `AutoregressiveNet._draw`; samples with the same past share the work.

        Conditional i sees the spins before it alone: there are 2^i such pasts at most, and at low
        temperatures fewer. Its slopes and the past of each sample go into the list `kept`, if any.
        """
        spins, logits, one = [], [], noise.new_ones(())
        batch = noise.shape[1]
        columns = 1 if self._shares_pasts else batch
        state, past = self.start(columns), torch.arange(batch, device=noise.device) % columns
        for i in range(self.n):
            logit, slopes = self._evaluate(i, self._in_cone(i, state), kept is not None)
            if kept is not None:
                kept.append((slopes, past))
            logits.append(logit[past])
            spins.append(torch.copysign(one, logits[i] - noise[i]))
            state, past = self._branch(i, state, past, spins[i])
        return torch.stack(spins), torch.stack(logits)

    def _branch(self, i, state, past, x_i):
        """The fields for each past with one spin more, and which of these pasts each sample has."""
        if state.shape[1] < len(past):
            seen, past = (2 * past + (x_i > 0)).unique(return_inverse=True)
            return self.observe(i, (2 * (seen % 2) - 1).to(self.dtype), state[:, seen // 2]), past
        by_past = torch.empty_like(x_i).scatter_(0, past, x_i)  # every sample has its own
        return self.observe(i, by_past, state), past

    def _evaluate(self, i, state, with_slopes):
        """The logit (pasts,) without a gradient, and its slopes (4 depth + 2, pasts) or None."""
        kernels = self._kernels()
        if kernels and len(state) > 1:
            later, own = self._later(i), (self.gains[i], self.readout[i])
            fields = state.clone()
            fields[0] += self.fields[i]
            fields[1:] += self.fields[later, None]
            given = (*self._among(later), self.couplings[i, later], fields, float(self.beta))
            return kernels.logit(*given, *(values.detach() for values in own), with_slopes)
        if with_slopes:
            return self._with_slopes(i, state)
        return self.conditional(i, state), None

    def own_parameters(self, i):
        """As `AutoregressiveNet.own_parameters`: the gains of conditional i, then a_i and b_i.

        The last conditional has a_i alone, since no later spin is there for the others to act on.
        """
        if i + 1 == self.n:
            return [(self.readout, (i, slice(0, 1)))]
        return [(self.gains, slice(i, i + 1)), (self.readout, slice(i, i + 1))]

    def logit_slopes(self, i, x):
        """As `AutoregressiveNet.logit_slopes`."""
        _, slopes = self._evaluate(i, self._fields_of(i, x.T), with_slopes=True)
        return slopes if i + 1 < self.n else slopes[-2:-1]

    def _with_slopes(self, i, state):
        """As `_evaluate`, by automatic differentiation with gains of its own for each past."""
        with torch.enable_grad():
            own = [
                values[i]
                .detach()[..., None]
                .expand(*values[i].shape, state.shape[1])
                .requires_grad_()
                for values in (self.gains, self.readout)
            ]
            logit = self._logit(i, state, *own)
            slopes = torch.autograd.grad(logit.sum(), own, materialize_grads=True)
        return logit.detach(), torch.cat([slope.flatten(0, -2) for slope in slopes])

    def num_parameters(self):
        """4 depth (n-1) + 2n - 1: those of the last conditional have no later spin to act on."""
        return super().num_parameters() - 4 * self.depth - 1

    def extra_repr(self):
        """Size, for repr(net)."""
        return f"n={self.n}, depth={self.depth}"


def light_cones(couplings, steps):
    """For each spin i, itself and the later spins that its logit depends on after so many steps.

    These are the spins within `steps` bonds of spin i, on paths among the spins after i: in each
    step of the iteration a magnetisation hears of those beside it.

    Args:
        couplings: (n, n), symmetric.
        steps: number of iterations.

    Returns:
        A list of n ascending tensors of spins, counted from 0; the i-th begins with i.
    """
    neighbours = [row.nonzero()[:, 0].tolist() for row in couplings.cpu()]
    cones = []
    for i in range(len(couplings)):
        cone = edge = {i}
        for _ in range(steps):
            edge = {later for spin in edge for later in neighbours[spin] if later > i} - cone
            cone = cone | edge
        cones.append(torch.tensor(sorted(cone)))
    return cones


def in_best_form(matrix):
    """The matrix, in sparse form if so few of its entries differ from zero that this is faster."""
    few = matrix.count_nonzero() < SPARSE_MATRIX * matrix.numel()
    return matrix.to_sparse() if few else matrix
