"""Several instances trained side by side: one launch on a GPU for each operation of them all.

At n = 50 a k-RSB network and a batch of 2000 samples are little work for a GPU, but a step of it is
more than a thousand operations, each of which takes its time to start. Here R networks of one
shape, each with couplings of its own, are one network whose tensors have a leading axis of R. The
averages over the disorder of Paper Sec. IV then take hardly more operations than one instance.
"""

import math

import torch
from torch import nn
from tqdm import tqdm

from .checkpoints import Checkpoint, model_identity
from .hamiltonians import PairwiseHamiltonian, as_count
from .nets import SKRSB
from .training import (
    STEP_SIZES,
    _checked_schedule,
    _found_after,
    _learning_curves,
    _make_optimiser,
    _paced,
    _stop,
)

__all__ = ["minimise_free_energies"]


def minimise_free_energies(
    nets,
    models,
    betas,
    *,
    steps=1000,
    batch=2000,
    lr=STEP_SIZES["adam"],
    final_lr=None,
    seed=0,
    first_steps=None,
    checkpoint=None,
    identity=None,
    after_temperature=None,
    progress=False,
):
    """Anneal R networks in one loop, each as `arnn.training.minimise_free_energy` would alone.

    Adam on the score-function estimator, with the schedule of the paper's Sec. IV by default. Each
    instance has its own samples, its own baseline and its own numbers in Adam, so it ends where it
    would without the others, up to rounding. The nets are changed in place, after each temperature.

    This is for GPUs. On a CPU train one after the other in float32, which is 4 to 6 times faster
    at n = 50, because the compiled loops (`arnn.sk_kernels`) know no instances. The samples and
    fields of all instances are in memory at once: at least R batch n^2 / 2 numbers, 0.1 GB for
    R = 10 at n = 50 with the default batch in float32.

    Args:
        nets: R different SKRSB nets of the same n, k, dtype and device, with fixed first layers.
        models: a PairwiseHamiltonian of n spins for each of them.
        betas: inverse temperatures in the order of training, the same for all.
        steps, batch: steps at each temperature, and samples of each instance in each.
        lr, final_lr: the step size decays geometrically from lr to final_lr within each
            temperature; constant if that is None.
        seed: of the training samples: a sequence of R, or one for all. Instance r draws what
            `minimise_free_energy` draws with its seed, so one seed is the same noise R times; give
            R of them where results are averaged over the instances.
        first_steps: steps at the first temperature, `steps` if None.
        checkpoint: a file with the state of all instances, written whole after each temperature.
            If it is there at the start, training goes on from it, bit for bit.
        identity: a dict of plain values that must agree too for a checkpoint to be of this run.
        after_temperature: called as f(net, beta, index) with each trained net in turn; the dict of
            numbers and tensors that it returns joins the record of that net.
        progress: show a bar.

    Returns:
        For each net the list of records that `minimise_free_energy` returns, one for each
        temperature: a dict with `beta`, `curve` and `curve_std` (batch mean and standard deviation
        of F/n at each step, float64 tensors (steps,)), and what after_temperature returned.

    Raises:
        ValueError: there is no net, the nets are not alike, not SKRSB or learn their first layers,
            a model or a seed is missing, a parameter is out of range, or the checkpoint is damaged
            or of another run.
        FloatingPointError: the free energy of a net, which is named as nets[r], is no longer
            finite, or ends a temperature far above where it began it. All nets then are as they
            entered that temperature, unless an `f` of after_temperature alone tells of it; the
            checkpoint of the last good one stays.
    """
    nets, models = _as_list("nets", nets), _as_list("models", models)
    _require_alike(nets)
    _require_models(nets, models)
    schedule = _checked_schedule(betas, "adam", steps, first_steps, batch, lr, final_lr)
    schedule["seed"] = _checked_seeds(seed, len(nets))
    betas = schedule["betas"]
    together, energies = _SideBySide(nets), _energies_of(models, nets[0])
    optimiser = _make_optimiser(together, schedule)
    generators = _Generators(nets[0].device, schedule["seed"])
    saved = Checkpoint(checkpoint, None, (identity or {}) | schedule | _identity(nets, models))
    # The file holds the given nets, from which those side by side are made at each temperature.
    all_nets = nn.ModuleList(nets)
    records = saved.load(all_nets, optimiser, generators) or [[] for _ in nets]
    done = len(records[0])
    with tqdm(total=len(betas), initial=done, unit="beta", disable=not progress) as bar:
        for index in range(done, len(betas)):
            for net in nets:
                net.set_beta(betas[index])
            together.take_from(nets)
            curves = _train_at(together, energies, optimiser, generators, schedule, index)
            together.give_to(nets)
            for r, (net, past, curve) in enumerate(zip(nets, records, curves, strict=True)):
                record = {"beta": betas[index]} | curve
                record |= _found_after(after_temperature, net, record, index, f" of nets[{r}]")
                past.append(record)
            saved.save(records, all_nets, optimiser, generators)
            bar.set_postfix(beta=f"{betas[index]:.2f}")
            bar.update()
    return records


class _SideBySide(SKRSB):
    """R nets of one shape as one: the tensors of SKRSB with a leading axis of instances.

    It draws samples with their gradient, and nothing else that an SKRSB can do: the samples of
    `sample_for_training` are (R, batch, n), their ln Q is (R, batch).
    """

    loops = None  # they know no instances

    def __init__(self, nets):
        first = nets[0]
        # Not that of SKRSB, which makes its numbers from a Hamiltonian; here the nets have them.
        super(SKRSB, self).__init__(first.n, dtype=first.dtype, device=first.device)
        self.k = first.k

        def stacked(tensors):
            trained = tensors[0].requires_grad
            return nn.Parameter(torch.stack([t.detach() for t in tensors]), requires_grad=trained)

        for name in ("beta", "fields", "couplings"):
            self.register_buffer(name, torch.stack([getattr(net, name) for net in nets]))
        for name in ("omega", "bias"):
            self.register_parameter(name, stacked([getattr(net, name) for net in nets]))
        for name in ("weights", "biases"):
            layers = zip(*(getattr(net, name) for net in nets), strict=True)
            self.register_module(name, nn.ParameterList(stacked(layer) for layer in layers))

    @torch.no_grad()
    def take_from(self, nets):
        """Take the numbers of the nets."""
        states = [net.state_dict() for net in nets]
        for name, tensor in self.state_dict().items():
            torch.stack([state[name] for state in states], out=tensor)

    def give_to(self, nets):
        """Give the nets their numbers back."""
        state = self.state_dict()
        for r, net in enumerate(nets):
            net.load_state_dict({name: tensor[r] for name, tensor in state.items()})

    def start(self, batch):
        """No spin known: the fields xi, (R, n, batch), beside the numbers of each conditional.

        These are cut out here, all at once: the gradients of the pieces are then put together in
        one operation, where n slices would each fill a whole layer with zeros and add it.
        """
        fields = self._place.new_zeros(*self.bias.shape, batch)
        lengths = [self.n - 1 - i for i in range(self.n)]
        layers = [
            zip(*(layer[..., None].split(lengths, dim=2) for layer in part), strict=True)
            for part in (self.weights, self.biases)
        ]
        single = [part[..., None].unbind(1) for part in (self.omega, self.fields, self.bias)]
        return fields, list(zip(*single, *layers, strict=True))

    def conditional(self, i, state):
        """Paper Eq. (20) of all instances, (R, batch), from the fields on spin i and after it."""
        fields, numbers = state
        omega, h_i, bias, weights, biases = numbers[i]
        direct = omega * (h_i + fields[:, 0]) + bias
        log_rho = self._chain(fields.shape[1] - 1)(fields[:, 1:], weights, biases)
        return direct + log_rho.sum(1)

    def observe(self, i, x_i, state):
        """The recurrence of Paper Eq. (10) for the spins after i of all instances."""
        fields, numbers = state
        couplings = self.couplings[:, i, i + 1 :, None]
        return torch.addcmul(fields[:, 1:], couplings, x_i[:, None]), numbers

    def _noise(self, batch, generators):
        """As each net would draw it alone, (n, R, batch)."""
        return torch.stack([super(_SideBySide, self)._noise(batch, g) for g in generators], dim=1)


class _Generators(list):
    """A torch.Generator for each instance, saved in a checkpoint as if they were one."""

    def __init__(self, device, seeds):
        super().__init__(torch.Generator(device).manual_seed(seed) for seed in seeds)

    def get_state(self):
        return [generator.get_state() for generator in self]

    def set_state(self, states):
        for generator, state in zip(self, states, strict=True):
            generator.set_state(state)


def _energies_of(models, net):
    """A function of spins x (R, batch, n): H(x) of each instance by its own model, (R, batch)."""
    couplings = torch.stack([H.couplings.to(net.device, net.dtype) for H in models])
    fields = torch.stack([H.fields.to(net.device, net.dtype) for H in models])

    def energies(x):
        pairs = torch.einsum("rbi,rbi->rb", x @ couplings, x)
        return -0.5 * pairs - torch.einsum("rbi,ri->rb", x, fields)

    return energies


def _train_at(together, energies, optimiser, generators, schedule, index):
    """Train all instances at one temperature; the learning curves of F/n of each."""
    beta = schedule["betas"][index]
    scale = beta * together.n
    means, deviations = ([[] for _ in generators] for _ in range(2))
    for step in _paced(optimiser, schedule, index):
        cost = _step(together, energies, beta, schedule["batch"], optimiser, generators)
        # One transfer for all, since a GPU stands still while it is waited for.
        found = torch.stack([cost.mean(1), cost.std(1)], dim=1).tolist()
        for r, (mean, deviation) in enumerate(found):
            means[r].append(mean / scale)
            deviations[r].append(deviation / scale)
            if not math.isfinite(mean):
                _stop(means[r][-1], beta, f"step {step}", f" of nets[{r}]")
    return [
        _learning_curves(*curves, beta, f" of nets[{r}]")
        for r, curves in enumerate(zip(means, deviations, strict=True))
    ]


def _step(together, energies, beta, batch, optimiser, generators):
    """One step of Adam for all instances; the costs ln Q(x) + beta H(x) of each, (R, batch)."""
    x, log_prob = together.sample_for_training(batch, generators)
    cost = (log_prob + beta * energies(x)).detach()
    # The sum of `score_function_loss` over the instances, each with the mean of its own costs.
    loss = ((cost - cost.mean(1, keepdim=True)) * log_prob).sum() / (batch - 1)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return cost


def _identity(nets, models):
    """The entries of a checkpoint's identity that name the nets and their Hamiltonians."""
    found = {"nets": f"{len(nets)} times {nets[0]!r} in {nets[0].dtype}"}
    for r, H in enumerate(models):
        found |= {f"{key} of nets[{r}]": value for key, value in model_identity(H).items()}
    return found


def _as_list(name, values):
    try:
        return list(values)
    except TypeError:
        raise ValueError(f"{name} must be a list, not {values!r}") from None


def _require_alike(nets):
    if not nets:
        raise ValueError("nets must hold at least one net")
    for r, net in enumerate(nets):
        # A subclass may be another network, of which the loop here knows nothing.
        if type(net) is not SKRSB:
            raise ValueError(f"nets[{r}] must be an SKRSB, not {net!r}")
        if net.couplings.requires_grad:
            raise ValueError(f"nets[{r}] learns its first layer; only fixed ones can be trained so")
        if any(net is other for other in nets[:r]):
            raise ValueError(f"nets[{r}] is given twice")
        for name, wanted in _shape(nets[0]).items():
            if (found := _shape(net)[name]) != wanted:
                raise ValueError(
                    f"the nets must agree in their {name}, but that of nets[0] is {wanted} and "
                    f"that of nets[{r}] is {found}"
                )


def _shape(net):
    """What nets must have in common to be trained side by side."""
    trained = [name for name, p in net.named_parameters() if p.requires_grad]
    return {
        "n": net.n,
        "k": net.k,
        "dtype": net.dtype,
        "device": net.device,
        "list of trained numbers": trained,
    }


def _require_models(nets, models):
    if len(models) != len(nets):
        raise ValueError(f"there are {len(nets)} nets and {len(models)} models")
    for r, (net, H) in enumerate(zip(nets, models, strict=True)):
        if not isinstance(H, PairwiseHamiltonian):
            raise ValueError(f"models[{r}] must be a PairwiseHamiltonian, not {H!r}")
        if net.n != H.n:
            raise ValueError(f"nets[{r}] has {net.n} spins and its Hamiltonian {H.n}")


def _checked_seeds(seed, count):
    """A list of seeds, one for each instance."""
    try:
        seeds = list(seed)
    except TypeError:
        seeds = [seed] * count
    if len(seeds) != count:
        raise ValueError(f"there are {count} nets and {len(seeds)} seeds")
    return [as_count("seed", seed, at_least=0) for seed in seeds]
