"""Maximum-likelihood training of a net from samples (SI Eq. (48)), beside held-out samples."""

import copy
import hashlib
import math

import torch
from torch.optim import Adam
from tqdm import tqdm

from .checkpoints import Checkpoint
from .hamiltonians import as_count, as_positive

EPOCH_SEED = 1_000_003  # keeps the epochs of different seeds apart


def as_samples(name, samples, n=None):
    """Samples as a tensor (M, n) of +-1, or a ValueError that names them.

    Args:
        name: what they are called in the message.
        samples: array or tensor (M, n) with M >= 2.
        n: number of spins that they must have; any if None.
    """
    try:
        x = torch.as_tensor(samples)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be an array of numbers") from None
    wanted = f"(M, {'n' if n is None else n})"
    if x.ndim != 2 or len(x) < 2 or x.shape[1] != (n or x.shape[1]) or x.shape[1] < 1:
        raise ValueError(
            f"{name} must have shape {wanted} with M of at least 2, not {tuple(x.shape)}"
        )
    if not bool((x.abs() == 1).all()):
        raise ValueError(f"{name} must hold +1 and -1 only")
    return x


def maximise_likelihood(
    net,
    samples,
    *,
    steps,
    batch=100,
    lr=1e-2,
    final_lr=None,
    seed=0,
    held_out=None,
    keep="best",
    evaluate_every=None,
    watch=None,
    checkpoint=None,
    identity=None,
    progress=False,
):
    """Minimise the mean negative log-likelihood of samples, SI Eq. (48), by Adam on minibatches.

    The net is changed in place. Every epoch takes the samples in a new random order; those left
    over at its end, fewer than a batch, are not used in it.

    Args:
        net: an AutoregressiveNet with parameters to train.
        samples: (M, n) of +-1.
        steps, batch, lr: Adam steps, samples in each (at most M), step size.
        final_lr: the step size decays geometrically from lr to this; constant if None.
        seed: of the order of the samples.
        held_out: other samples (K, n) of the same law, which are never trained on.
        keep: "best" leaves the net with the weights of the evaluation at which the held-out loss
            was least (early stopping); "last", or no held-out samples, with the last ones.
        evaluate_every: steps between two evaluations, the last step being one; a twentieth of
            `steps` if None.
        watch: called as watch(net, step) at each evaluation; the dict of numbers that it returns
            joins the record.
        checkpoint: a file, written whole after each evaluation. If it is there at the start,
            training goes on from it, bit for bit as if it had never stopped.
        identity: a dict of plain values that must agree too for a checkpoint to be of this run.
            The samples are known by their bits.
        progress: show a bar.

    Returns:
        A dict of float64 tensors: `curve` (steps,), the loss of each minibatch before its step;
        `step`, `train`, and with held-out samples `held_out` and `held_out_error`, (evaluations,),
        where `train` is of the first K samples, of all if none are held out; what `watch`
        returned; and `kept_step`, the step whose weights the net ends with. Losses are -ln Q per
        sample, of the whole system.

    Raises:
        ValueError: the samples are not +-1 of shape (M, n), a parameter is out of range, the net
            has nothing to train, or the checkpoint is damaged or of another run.
        FloatingPointError: the loss is no longer finite. The last good checkpoint stays.
    """
    samples = as_samples("samples", samples, net.n).to(net.device, net.dtype)
    if held_out is not None:
        held_out = as_samples("held_out", held_out, net.n).to(net.device, net.dtype)
    schedule = {
        "steps": as_count("steps", steps),
        "batch": as_count("batch", batch),
        "lr": as_positive("lr", lr),
        "final_lr": as_positive("final_lr", lr if final_lr is None else final_lr),
        "seed": as_count("seed", seed, at_least=0),
        "evaluate_every": as_count(
            "evaluate_every", -(-steps // 20) if evaluate_every is None else evaluate_every
        ),
    }
    if batch > len(samples):
        raise ValueError(f"batch must be at most the {len(samples)} samples, not {batch}")
    if keep not in ("best", "last"):
        raise ValueError(f'keep must be "best" or "last", not {keep!r}')
    trainable = [p for p in net.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(f"the net has nothing to train: {net!r}")
    known = (identity or {}) | schedule | {"samples": _fingerprint(samples, held_out)}
    saved = Checkpoint(checkpoint, net, known)
    optimiser = Adam(trainable, lr=lr)
    # One record, which holds the evaluations so far and the best weights among them.
    (history,) = saved.load(net, optimiser) or [{"evaluations": [], "best": None}]
    evaluations = history["evaluations"]
    done = evaluations[-1]["step"] if evaluations else 0
    with tqdm(total=steps, initial=done, unit="step", disable=not progress) as bar:
        while done < steps:
            end = min(done + schedule["evaluate_every"], steps)
            evaluation = {
                "step": end,
                "curve": _train(net, samples, optimiser, schedule, range(done, end)),
            }
            evaluation |= _losses(net, samples, held_out, batch)
            if watch is not None:
                with torch.no_grad():
                    evaluation |= watch(net, end)
            _record(history, evaluation, net)
            saved.save([history], net, optimiser)
            bar.set_postfix(_summary(evaluation))
            bar.update(end - done)
            done = end
    return _finish(net, history, keep)


def _train(net, samples, optimiser, schedule, steps):
    """Adam steps; the loss of each minibatch, a float64 tensor (len(steps),)."""
    decay = (schedule["final_lr"] / schedule["lr"]) ** (1 / max(1, schedule["steps"] - 1))
    losses = []
    for step in steps:
        for group in optimiser.param_groups:
            group["lr"] = schedule["lr"] * decay**step
        loss = -net.log_prob(samples[_minibatch(step, len(samples), schedule)]).mean()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(
                f"the loss became {losses[-1]} at step {step}; "
                "try a smaller lr (the last good checkpoint is kept)"
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return torch.tensor(losses, dtype=torch.float64)


def _minibatch(step, count, schedule):
    """Which samples a step takes: a function of the step alone, so that resuming needs no state."""
    epoch, place = divmod(step, count // schedule["batch"])
    generator = torch.Generator().manual_seed(EPOCH_SEED * (schedule["seed"] + 1) + epoch)
    order = torch.randperm(count, generator=generator)
    return order[place * schedule["batch"] :][: schedule["batch"]]


@torch.no_grad()
def _losses(net, samples, held_out, batch):
    """-ln Q per sample, on training samples and on held-out ones."""
    shown = samples if held_out is None else samples[: len(held_out)]
    losses = {"train": _negative_log_likelihoods(net, shown, batch).mean().item()}
    if held_out is not None:
        values = _negative_log_likelihoods(net, held_out, batch)
        losses["held_out"] = values.mean().item()
        losses["held_out_error"] = values.std().item() / math.sqrt(len(values))
    return losses


def _negative_log_likelihoods(net, x, batch):
    return -torch.cat([net.log_prob(part).double() for part in x.split(batch)])


def _record(history, evaluation, net):
    """Add an evaluation, and keep the weights if they are the best on held-out samples so far."""
    history["evaluations"].append(evaluation)
    loss, best = evaluation.get("held_out"), history["best"]
    if loss is not None and (best is None or loss < best["held_out"]):
        weights = copy.deepcopy(net.state_dict())
        history["best"] = {"held_out": loss, "step": evaluation["step"], "weights": weights}


def _finish(net, history, keep):
    """Leave the net with the weights that were asked for, and put the record together."""
    evaluations = history["evaluations"]
    kept_step = evaluations[-1]["step"]
    if keep == "best" and history["best"] is not None:
        net.load_state_dict(history["best"]["weights"])
        kept_step = history["best"]["step"]
    record = {"curve": torch.cat([evaluation["curve"] for evaluation in evaluations])}
    for name in evaluations[-1]:
        if name != "curve":
            values = [float(evaluation[name]) for evaluation in evaluations]
            record[name] = torch.tensor(values, dtype=torch.float64)
    return record | {"kept_step": torch.tensor(kept_step)}


def _summary(evaluation):
    """What the progress bar shows."""
    return {k: f"{evaluation[k]:.3f}" for k in ("train", "held_out") if k in evaluation}


def _fingerprint(samples, held_out):
    """A short hash of all samples, by which a checkpoint knows them."""
    digest = hashlib.sha256()
    for x in (samples,) if held_out is None else (samples, held_out):
        digest.update(f"{tuple(x.shape)}".encode() + (x > 0).cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
