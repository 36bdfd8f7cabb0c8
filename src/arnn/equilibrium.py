"""Configurations in equilibrium, as a tempering run keeps them, for trained nets to be judged on.

The samples of a net do not show what it never draws. Its probabilities of configurations that were
drawn otherwise do, by the divergence in the other direction (`arnn.estimators.forward_divergence`).
"""

import math
from typing import NamedTuple

import numpy as np

from . import runs
from .tempering_run import TemperingRun


class Divergences(NamedTuple):
    """D(Q || P_B) and D(P_B || Q) at one temperature, in nats of the whole system, with errors."""

    beta: float
    backward: float
    backward_error: float
    forward: float
    forward_error: float


def kept_spins(path, H):
    """The equilibrium samples in the result of a tempering run.

    Args:
        path: folder of the result.
        H: the PairwiseHamiltonian whose samples they must be.

    Returns:
        A dict from each beta that the result has samples of to its spins (samples, n) of +-1,
        float64, replica by replica.

    Raises:
        ValueError: there is no whole result, it is of another kind or of other couplings, or it
            keeps no samples.
    """
    manifest, data = runs.load(path)
    if "ladder" not in data:
        raise ValueError(f"equilibrium {path} is not the result of a tempering run")
    sampled = _hamiltonian(manifest).to(dtype=H.dtype)
    if sampled.fingerprint() != H.fingerprint():
        raise ValueError(f"equilibrium {path} is of other couplings than the training")
    if "kept_spins" not in data:
        raise ValueError(f"equilibrium {path} keeps no samples")
    betas = map(float, data["overlap_beta"])
    spins = (runs.unpack_spins(packed, H.n) for packed in data["kept_spins"])
    return dict(zip(betas, spins, strict=True))


def divergences(trained, tempered):
    """How far a trained net is from the Boltzmann distribution, in both directions.

    D(Q || P_B) = beta (F[Q] - F), and D(P_B || Q) = < -beta H - ln Z - ln Q > over equilibrium
    samples, where F = -ln Z / beta is that of the tempering run. Its replicas are independent and
    its samples are not, so that the error of the latter is one over the means of replicas.

    Args:
        trained: the `runs.Run` of a training with `equilibrium`.
        tempered: that of the tempering run which it names.

    Returns:
        A list of `Divergences`, one for each beta at which both have samples.

    Raises:
        ValueError: the training was not judged on samples, or on others than these.
    """
    if trained.manifest["parameters"].get("equilibrium") != tempered.manifest["sha256"]:
        raise ValueError("the training was not judged on the samples of this tempering run")
    found = zip(trained.data["equilibrium_beta"], trained.data["equilibrium_log_prob"], strict=True)
    return [_divergences(float(beta), log_q, trained.data, tempered) for beta, log_q in found]


def _divergences(beta, log_q, trained, tempered):
    """Those at one beta, from ln Q of the samples there."""
    H = _hamiltonian(tempered.manifest)
    replicas, truth = tempered.manifest["parameters"]["replicas"], tempered.data
    kept = truth["kept_spins"][_row(truth["overlap_beta"], beta)]
    energy = H.energy(runs.unpack_spins(kept, H.n)).numpy()
    of_replicas = (-beta * energy - log_q).reshape(replicas, -1).mean(1)
    scale, here, there = beta * H.n, _row(trained["beta"], beta), _row(truth["beta"], beta)
    f, noise = truth["f"][there], scale * truth["f_error"][there]
    backward = scale * (trained["f"][here] - f)
    forward = of_replicas.mean() + scale * f
    errors = scale * trained["f_error"][here], of_replicas.std(ddof=1) / math.sqrt(replicas)
    backward_error, forward_error = (math.hypot(error, noise) for error in errors)
    return Divergences(beta, *map(float, (backward, backward_error, forward, forward_error)))


def _row(betas, beta):
    return int(np.argmin(abs(betas - beta)))


def _hamiltonian(manifest):
    """The one that a tempering run has sampled, in float64."""
    known = {name: manifest["parameters"][name] for name in ("n", "instance")}
    return TemperingRun(**known).make_hamiltonian()
