"""Training: variational free energy by samples or by exact sums, and maximum likelihood.

`score_function_loss` is the estimator of the gradient of beta F, `minimise_free_energy` anneals any
net with it, and `minimise_exact_free_energy` anneals a net of the partial sum without sampling.
`maximise_likelihood` is the other direction of the divergence: it learns from samples.
"""

import math

import torch
from torch.optim import LBFGS, Adam
from tqdm import tqdm

from . import partial_sums
from .checkpoints import Checkpoint, model_identity
from .hamiltonians import as_count, as_positive
from .likelihood import maximise_likelihood
from .natural_gradient import NaturalGradient

__all__ = [
    "maximise_likelihood",
    "minimise_exact_free_energy",
    "minimise_free_energy",
    "score_function_loss",
]

# The step size of each optimiser, unless another is asked for.
STEP_SIZES = {"adam": 1e-3, "natural": 0.1}


def score_function_loss(net, H, beta, x, log_prob=None):
    """A scalar whose gradient estimates that of beta F, from samples x (batch, n) of the net.

    grad beta F = < (ln Q + beta H - b) grad ln Q > for any constant b, since < grad ln Q > = 0;
    b is the batch mean, which makes the variance small (Wu, Wang, Zhang 2019; Paper, Sec. II).
    Give log_prob, ln Q(x) with its gradient, where it is known already.

    Returns:
        The loss, and the detached costs ln Q(x) + beta H(x), (batch,), whose mean estimates beta F.
    """
    log_prob = net.log_prob(x) if log_prob is None else log_prob
    cost = (log_prob + beta * H.energy(x)).detach()
    # A mean over the batch minus one, because b is made of the same samples: no bias.
    return ((cost - cost.mean()) * log_prob).sum() / (len(x) - 1), cost


def minimise_free_energy(
    net,
    H,
    betas,
    *,
    steps=1000,
    batch=2000,
    optimiser="adam",
    lr=None,
    damping=1e-2,
    refresh=20,
    seed=0,
    first_steps=None,
    final_lr=None,
    tolerance=None,
    checkpoint=None,
    identity=None,
    after_temperature=None,
    progress=False,
):
    """Anneal a net through the temperatures, minimising its variational free energy at each.

    Adam on `score_function_loss`; the defaults are the schedule of the paper's Sec. IV. The
    natural gradient (`arnn.natural_gradient`) takes fewer steps for SKRSB: with 60 of them at each
    temperature and final_lr=0.02, SK_1RSB at n = 100 ends no higher than the released runs, which
    took 1000 of Adam. The net is changed in place and ends at the last temperature.

    Args:
        net: an AutoregressiveNet of H.n spins.
        H: a PairwiseHamiltonian on the net's device.
        betas: inverse temperatures in the order of training.
        steps, batch: steps at each temperature, and samples in each.
        optimiser: "adam", or "natural" for `NaturalGradient`.
        lr: step size; 1e-3 for Adam and 0.1 for the natural gradient if None.
        damping, refresh: of the natural gradient alone: what is added to the eigenvalues of the
            Fisher matrices, and the number of steps for which they are kept.
        seed: of the training samples.
        first_steps: steps at the first temperature, `steps` if None.
        final_lr: the step size decays geometrically from lr to this within each temperature;
            constant if None.
        tolerance: a temperature ends early once the standard deviation over the batch of F/n
            falls below this (the published runs used 1e-4); never if None.
        checkpoint: a file, written whole after each temperature. If it is there at the start,
            training goes on from it, bit for bit as if it had never stopped.
        identity: a dict of plain values that must agree too for a checkpoint to be of this run,
            such as what after_temperature depends on.
        after_temperature: called as f(net, beta, index) with the trained net; the dict of numbers
            and tensors that it returns joins the record. An `f` in it, F/n from fresh samples, is
            what tells whether the last step has lost the training.
        progress: show a bar.

    Returns:
        One record for each temperature: a dict with `beta`, `curve` and `curve_std` (the batch
        mean and standard deviation of F/n at each step, float64 tensors (steps,)), and what
        after_temperature returned.

    Raises:
        ValueError: a parameter is out of range, or the checkpoint is damaged or of another run.
        TypeError: optimiser is "natural", and there is none for the net.
        FloatingPointError: the free energy is no longer finite, or it ends a temperature far above
            where it began it. The checkpoint of the last good temperature stays.
    """
    if optimiser not in STEP_SIZES:
        raise ValueError(f'optimiser must be "adam" or "natural", not {optimiser!r}')
    lr = STEP_SIZES[optimiser] if lr is None else lr
    schedule = _checked_schedule(betas, optimiser, steps, first_steps, batch, lr, final_lr) | {
        "tolerance": None if tolerance is None else as_positive("tolerance", tolerance),
        "seed": as_count("seed", seed, at_least=0),
    }
    betas = schedule["betas"]
    if optimiser == "natural":
        schedule["damping"] = as_positive("damping", damping)
        schedule["refresh"] = as_count("refresh", refresh)
    if net.n != H.n:
        raise ValueError(f"the net has {net.n} spins and the Hamiltonian {H.n}")
    optimiser = _make_optimiser(net, schedule)
    generator = torch.Generator(net.device).manual_seed(seed)
    saved = Checkpoint(checkpoint, net, (identity or {}) | schedule | model_identity(H))
    records = saved.load(net, optimiser, generator)
    with tqdm(total=len(betas), initial=len(records), unit="beta", disable=not progress) as bar:
        for index in range(len(records), len(betas)):
            record = {"beta": betas[index]}
            net.set_beta(betas[index])
            record |= _train_at(net, H, optimiser, generator, schedule, index)
            record |= _found_after(after_temperature, net, record, index)
            records.append(record)
            saved.save(records, net, optimiser, generator)
            bar.set_postfix(_summary(record))
            bar.update()
    return records


def _make_optimiser(net, schedule):
    """What moves the net, or None where it has nothing to train."""
    trainable = [p for p in net.parameters() if p.requires_grad]
    if not trainable:
        return None
    if schedule["optimiser"] == "natural":
        return NaturalGradient(net, schedule["lr"], schedule["damping"])
    return Adam(trainable, lr=schedule["lr"])


def _train_at(net, H, optimiser, generator, schedule, index):
    """Train at one temperature; the learning curves of F/n."""
    beta = schedule["betas"][index]
    means, deviations = [], []
    for step in _paced(optimiser, schedule, index):
        x, log_prob = net.sample_for_training(schedule["batch"], generator)
        loss, cost = score_function_loss(net, H, beta, x, log_prob)
        means.append(float(cost.mean()) / (beta * net.n))
        deviations.append(float(cost.std()) / (beta * net.n))
        if not math.isfinite(means[-1]):
            _stop(means[-1], beta, f"step {step}")
        optimiser.zero_grad()
        loss.backward()
        # The matrices are measured anew at each temperature, so that no checkpoint need hold them.
        if schedule["optimiser"] == "natural" and step % schedule["refresh"] == 0:
            optimiser.measure(x)
        optimiser.step()
        if schedule["tolerance"] and deviations[-1] < schedule["tolerance"]:
            break
    return _learning_curves(means, deviations, beta)


def _paced(optimiser, schedule, index):
    """The number of each step at a temperature, once the optimiser has the step size of it."""
    steps = schedule["first_steps" if index == 0 else "steps"] if optimiser else 0
    decay = (schedule["final_lr"] / schedule["lr"]) ** (1 / max(1, steps - 1))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule["lr"] * decay**step
        yield step


def _learning_curves(means, deviations, beta, whose=""):
    """What the record of a temperature says of its steps, if the training is not lost."""
    _require_descent(means, deviations, beta, whose)
    as_tensor = {"dtype": torch.float64}
    return {
        "curve": torch.tensor(means, **as_tensor),
        "curve_std": torch.tensor(deviations, **as_tensor),
    }


def _require_descent(means, deviations, beta, whose):
    """Stop a training that is lost: F/n ends a temperature far above where it began it.

    Far is five standard deviations of a single sample and one part in twenty more: large steps
    from a good start may rise for a while and end a little higher.
    """
    if not means:
        return
    last = means[-max(1, len(means) // 10) :]
    end = sum(last) / len(last)
    if end > _highest_end(means[0], deviations[0]):
        _stop(end, beta, f"step {len(means) - 1}", whose)


def _found_after(after_temperature, net, record, index, whose=""):
    """What after_temperature returns, if its f is no sign of a training that is lost.

    Each batch of the curve was drawn before its step, so the last step shows in none of them.
    """
    if after_temperature is None:
        return {}
    found = after_temperature(net, record["beta"], index)
    if "f" in found and len(record["curve"]):
        start, deviation = float(record["curve"][0]), float(record["curve_std"][0])
        if not found["f"] <= _highest_end(start, deviation):  # also where it is no number
            _stop(found["f"], record["beta"], "after the last step", whose)
    return found


def _highest_end(start, deviation):
    return start + 5 * deviation + 0.05 * abs(start)


def _stop(free_energy, beta, when, whose=""):
    raise FloatingPointError(
        f"the free energy{whose} became {free_energy:.6g} at beta = {beta:g}, {when}; "
        "try a smaller lr (a checkpoint, if one is kept, is that of the last good temperature)"
    )


def _summary(record):
    """What the progress bar shows of a record."""
    shown = {"beta": f"{record['beta']:.2f}"}
    if "f" in record:
        shown["f"] = f"{record['f']:.5f}({record['f_error']:.5f})"
    elif len(record["curve"]):
        shown["f"] = f"{record['curve'][-1]:.5f}"
    return shown


def _checked_schedule(betas, optimiser, steps, first_steps, batch, lr, final_lr):
    """The part of a schedule that every annealing by samples has."""
    return {
        "optimiser": optimiser,
        "betas": _checked_betas(betas),
        "steps": as_count("steps", steps),
        "first_steps": as_count("first_steps", steps if first_steps is None else first_steps),
        "batch": as_count("batch", batch, at_least=2),
        "lr": as_positive("lr", lr),
        "final_lr": as_positive("final_lr", lr if final_lr is None else final_lr),
    }


def _checked_betas(betas):
    betas = [as_positive("every beta", beta) for beta in betas]
    if not betas:
        raise ValueError("betas must hold at least one inverse temperature")
    return betas


def minimise_exact_free_energy(
    net,
    H,
    betas,
    *,
    iterations=1000,
    checkpoint=None,
    identity=None,
    after_temperature=None,
    progress=False,
):
    """Anneal a net of the partial sum to the exact minimum of beta F, without sampling.

    L-BFGS on `arnn.partial_sums.free_energy`, whose value and gradient carry no noise, with each
    parameter of each spin, or of all, in units of its Fisher information to the power -1/2 at the
    start of a temperature. The net is changed in place; it should be in float64.

    Args:
        net: a SumNet with trainable parameters.
        H: a Curie-Weiss model of the same size.
        betas: inverse temperatures in the order of training.
        iterations: at most so many L-BFGS iterations at each temperature.
        checkpoint, identity, after_temperature, progress: as in `minimise_free_energy`.

    Returns:
        One record for each temperature: a dict with `beta`, `f` (per spin), `kl` (whole system),
        `gradient` (its largest component in these units at the end), and what
        after_temperature returned.

    Raises:
        TypeError, ValueError: as `arnn.partial_sums.free_energy`, or a parameter is out of range,
            or the checkpoint is damaged or of another run.
        FloatingPointError: the free energy is no longer finite.
    """
    betas = _checked_betas(betas)
    trainable = [p for p in net.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(f"the net has nothing to train: {net!r}")
    schedule = {"betas": betas, "iterations": as_count("iterations", iterations)}
    saved = Checkpoint(checkpoint, net, (identity or {}) | schedule | model_identity(H))
    records = saved.load(net)
    with tqdm(total=len(betas), initial=len(records), unit="beta", disable=not progress) as bar:
        for index in range(len(records), len(betas)):
            net.set_beta(betas[index])
            record = {"beta": betas[index]}
            record |= _minimise_exactly(net, H, betas[index], trainable, iterations)
            if after_temperature is not None:
                record |= after_temperature(net, betas[index], index)
            records.append(record)
            saved.save(records, net)
            bar.update()
    return records


def _minimise_exactly(net, H, beta, trainable, iterations):
    """One temperature of `minimise_exact_free_energy`."""
    _finite_free_energy(net, H, beta)  # before L-BFGS, which has no sentence for it
    units = [_unit(net, parameter) for parameter in trainable]
    scaled = [(p.detach() / u).requires_grad_() for p, u in zip(trainable, units, strict=True)]
    optimiser = LBFGS(
        scaled,
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=50,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def to_the_net():
        with torch.no_grad():
            for parameter, values, unit in zip(trainable, scaled, units, strict=True):
                parameter.copy_(values * unit)

    def evaluate():
        to_the_net()
        value = partial_sums.free_energy(net, H, beta).beta_free_energy
        gradient = torch.autograd.grad(value, trainable)
        for values, slope, unit in zip(scaled, gradient, units, strict=True):
            values.grad = slope * unit
        return value

    optimiser.step(evaluate)
    to_the_net()
    value, kl = _finite_free_energy(net, H, beta)
    gradient = max(float(values.grad.abs().max()) for values in scaled)
    return {"f": value.item() / (beta * net.n), "kl": kl.item(), "gradient": gradient}


def _finite_free_energy(net, H, beta):
    value, kl = partial_sums.free_energy(net, H, beta)
    if not value.isfinite():
        raise FloatingPointError(f"the exact free energy became {value.item()} at beta = {beta:g}")
    return value, kl


def _unit(net, parameter):
    """Changes of a parameter by its units move the net by amounts of the same order.

    Without them a weight that acts on large sums, or on all spins, bends the free energy a
    million times more than others, and L-BFGS stops before it is at the minimum.
    """
    if parameter.shape not in ((), (net.n,)):
        return torch.ones_like(parameter)
    information = partial_sums.fisher_information(net, parameter)
    return torch.where(information > 0, information, 1.0).rsqrt()  # zero: it never acts
