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
    """D(Q || P_B) and D(P_B || Q) at one temperature, in nats of the whole system, with errors.

    Both errors contain `truth_error`, that of beta F of the tempering run, which enters the two
    with opposite signs.
    """

    beta: float
    backward: float
    backward_error: float
    forward: float
    forward_error: float
    truth_error: float

    def excess(self):
        """D(P_B || Q) - D(Q || P_B) and its error; for a Gaussian ln P_B/Q it is zero."""
        # beta F comes in twice: (2 e)^2 in the square of the error, of which each has e^2.
        shared = math.sqrt(2) * self.truth_error
        error = math.hypot(self.backward_error, self.forward_error, shared)
        return self.forward - self.backward, error


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


def log_ratios(trained, tempered):
    """ln P_B(x) / Q(x) of the equilibrium samples, by which a trained net was judged.

    Where it is large the net has hardly any probability for what occurs.

    Args:
        trained: the `runs.Run` of a training with `equilibrium`.
        tempered: that of the tempering run which it names; ln Z is taken from it.

    Returns:
        A dict from each beta at which there are samples to an array (samples,), replica by replica.

    Raises:
        ValueError: the training was not judged on samples, or on others than these.
    """
    if trained.manifest["parameters"].get("equilibrium") != tempered.manifest["sha256"]:
        raise ValueError("the training was not judged on the samples of this tempering run")
    H, truth = _hamiltonian(tempered.manifest), tempered.data
    ratios, data = {}, trained.data
    for beta, log_q in zip(data["equilibrium_beta"], data["equilibrium_log_prob"], strict=True):
        kept = truth["kept_spins"][_row(truth["overlap_beta"], beta)]
        energy = H.energy(runs.unpack_spins(kept, H.n)).numpy()
        log_partition = -beta * H.n * truth["f"][_row(truth["beta"], beta)]
        ratios[float(beta)] = -beta * energy - log_partition - log_q
    return ratios


def divergences(trained, tempered):
    """How far a trained net is from the Boltzmann distribution, in both directions.

    D(Q || P_B) = beta (F[Q] - F), with the F of the tempering run, and D(P_B || Q) is the mean of
    `log_ratios`. The replicas of that run are independent and its samples are not, so that the
    error of the latter is one over the means of replicas.

    Args:
        trained, tempered: as for `log_ratios`.

    Returns:
        A list of `Divergences`, one for each beta at which there are samples.

    Raises:
        ValueError: as `log_ratios`.
    """
    ratios = log_ratios(trained, tempered)
    return [_divergences(beta, ratio, trained.data, tempered) for beta, ratio in ratios.items()]


def _divergences(beta, ratio, data, tempered):
    """Those at one beta, from the ln P_B / Q of the samples there."""
    parameters, truth = tempered.manifest["parameters"], tempered.data
    of_replicas = ratio.reshape(parameters["replicas"], -1).mean(1)
    here, there, scale = _row(data["beta"], beta), _row(truth["beta"], beta), beta * parameters["n"]
    backward = scale * (data["f"][here] - truth["f"][there])
    errors = scale * data["f_error"][here], of_replicas.std(ddof=1) / math.sqrt(len(of_replicas))
    noise = scale * truth["f_error"][there]
    backward_error, forward_error = (math.hypot(error, noise) for error in errors)
    found = backward, backward_error, of_replicas.mean(), forward_error, noise
    return Divergences(beta, *map(float, found))


def _row(betas, beta):
    return int(np.argmin(abs(betas - beta)))


def _hamiltonian(manifest):
    """The one that a tempering run has sampled, in float64."""
    known = {name: manifest["parameters"][name] for name in ("n", "instance")}
    return TemperingRun(**known).make_hamiltonian()
