"""What a free-energy run trains, and what it records at each temperature."""

import time

import numpy as np
import torch

from . import equilibrium, estimators, runs, training

# Estimates are made by generators of their own, far from the training seeds.
ESTIMATE_SEED = 1_000_003
OVERLAP_BLOCKS = 20  # of samples, for the error of the overlap distribution
NET = "net."  # before the names of the net's tensors in the data of a run that keeps it


def trained(settings, checkpoint, progress):
    """The data of a `FreeEnergyRun`, by name, and the seconds that it took.

    Raises:
        ValueError: the checkpoint or the equilibrium samples do not fit the run.
        FloatingPointError: training diverged.
    """
    net = settings.make_net()
    records = _train(net, settings, checkpoint, progress)
    data = _collect(records)
    if settings.keep_net:
        data |= {NET + name: value.cpu().numpy() for name, value in net.state_dict().items()}
    return data, sum(record["seconds"] for record in records)


def _train(net, settings, checkpoint, progress):
    H = settings.make_hamiltonian()
    judges = _equilibrium_spins(settings, H)
    last = [time.monotonic()]

    def after_temperature(net, beta, index):
        record = _estimates(settings, net, H, beta, index)
        if beta in judges:
            record["equilibrium_log_prob"] = _log_prob(net, judges[beta])
        now = time.monotonic()
        record["seconds"], last[0] = now - last[0], now
        return record

    common = {
        "checkpoint": checkpoint,
        "identity": settings.parameters(),
        "after_temperature": after_temperature,
        "progress": progress,
    }
    if settings.method == "exact":
        return training.minimise_exact_free_energy(net, H, settings.betas(), **common)
    names = ("steps", "batch", "optimiser", "lr", "damping", "refresh", "seed")
    names += ("first_steps", "final_lr", "tolerance")
    schedule = {name: getattr(settings, name) for name in names}
    return training.minimise_free_energy(net, H, settings.betas(), **schedule, **common)


def _equilibrium_spins(settings, H):
    """The spins of `settings.equilibrium`, by the betas of the run; none if it is None.

    Raises:
        ValueError: as `equilibrium.kept_spins`, or no beta of the run has samples.
    """
    if settings.equilibrium is None:
        return {}
    kept = equilibrium.kept_spins(settings.equilibrium, H)
    judges = {beta: x for beta, x in kept.items() if beta in settings.betas()}
    if not judges:
        raise ValueError(
            f"equilibrium {settings.equilibrium} keeps samples at no beta of this run, but at "
            f"{', '.join(f'{beta:g}' for beta in kept)}"
        )
    return judges


def _log_prob(net, x):
    with torch.no_grad():
        return net.log_prob(x.to(net.device, net.dtype)).float().cpu()


def _estimates(settings, net, H, beta, index):
    """What is recorded at one temperature, from fresh samples with a generator of its own."""
    generator = torch.Generator(net.device)
    generator.manual_seed(ESTIMATE_SEED * (settings.seed + 1) + index)
    if settings.method == "exact":
        record = {}
    else:
        options = {"batch": settings.batch, "generator": generator}
        record = estimators.free_energy(net, H, beta, settings.samples, **options)._asdict()
    if beta in settings.overlap_betas:
        x, log_prob = net.sample(settings.samples, generator)
        law = estimators.overlap_distribution(x, blocks=OVERLAP_BLOCKS)
        record |= {"overlap_probability": law.probability, "overlap_error": law.error}
        record["kept_spins"] = torch.from_numpy(runs.pack_spins(x[: runs.KEPT_SAMPLES]))
        record["kept_log_prob"] = log_prob[: runs.KEPT_SAMPLES].cpu()
    return record


def _collect(records):
    """The records as arrays: one entry for each beta; overlaps for the betas that have them."""
    data = {}
    scalars = [k for k, v in records[0].items() if not torch.is_tensor(v) and k != "seconds"]
    for name in scalars:
        data[name] = np.array([record[name] for record in records])
    if len(records[0].get("curve", ())):  # nothing was trained by steps otherwise
        for name in ("curve", "curve_std"):
            data[name] = _padded([record[name].numpy() for record in records])
    laws = [record for record in records if "overlap_probability" in record]
    if laws:
        data["overlap_beta"] = np.array([record["beta"] for record in laws])
        for name in ("overlap_probability", "overlap_error", "kept_spins", "kept_log_prob"):
            data[name] = np.array([record[name].numpy() for record in laws])
    judged = [record for record in records if "equilibrium_log_prob" in record]
    if judged:
        data["equilibrium_beta"] = np.array([record["beta"] for record in judged])
        log_prob = [record["equilibrium_log_prob"].numpy() for record in judged]
        data["equilibrium_log_prob"] = np.array(log_prob)
    return data


def _padded(curves):
    """Curves of different lengths as one float32 array, NaN after the end of each."""
    longest = max(len(curve) for curve in curves)
    table = np.full((len(curves), longest), np.nan, dtype=np.float32)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table
