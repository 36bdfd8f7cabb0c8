"""Monte Carlo for any pairwise Hamiltonian: Metropolis, heat bath, parallel tempering (SI Sec. IV).

Spins and energies come from compiled loops (`arnn.spin_kernels`); the same seed gives the same
samples. ln Z is worked out from ln Z(0) = n ln 2 along the ladder of temperatures, by Bennett's
acceptance ratio (J. Comput. Phys. 22, 245 (1976)) between neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from . import spin_kernels as kernels
from .checkpoints import Checkpoint, model_identity
from .hamiltonians import as_count
from .temperatures import adapted_ladder, as_beta, as_ladder, bennett, index_of, ladder, log_z
from .time_series import (
    autocorrelation,
    autocorrelation_time,
    doubling_means,
    mean_with_error,
)

__all__ = [
    "Chains",
    "Tempering",
    "adapted_ladder",
    "autocorrelation",
    "autocorrelation_time",
    "bennett",
    "doubling_means",
    "heat_bath",
    "ladder",
    "mean_with_error",
    "metropolis",
    "overlaps",
    "parallel_tempering",
]


@dataclass(frozen=True)
class Chains:
    """Samples of independent chains at one temperature."""

    beta: float
    spins: np.ndarray  # (chains, samples, n), int8
    energy: np.ndarray  # (chains, samples), H(x) of the whole system
    acceptance: np.ndarray  # (chains,), flipped spins over trial flips

    @property
    def x(self):
        """The samples as a float64 tensor (chains, samples, n) of +-1."""
        return torch.from_numpy(self.spins).double()


@dataclass(frozen=True)
class Tempering:
    """What parallel tempering found at the temperatures `betas`, (temperatures,), first beta = 0.

    f, energy and their errors are per spin, in units of the couplings; `f` is -inf at beta = 0.
    """

    betas: np.ndarray
    log_partition: np.ndarray  # (temperatures,), of the whole system
    log_partition_error: np.ndarray
    energy: np.ndarray
    energy_error: np.ndarray
    swap_rate: np.ndarray  # (temperatures - 1,), accepted over proposed swaps of neighbours
    round_trips: np.ndarray  # (replicas,), beta = 0 to the last beta and back
    energies: np.ndarray  # (replicas, samples, temperatures), H(x) of the whole system
    spins: dict  # beta -> (replicas, samples // thin, n), int8
    n: int

    @property
    def f(self):
        """The free energy per spin, -ln Z / (beta n), (temperatures,)."""
        with np.errstate(divide="ignore"):
            return -self.log_partition / (self.betas * self.n)

    @property
    def f_error(self):
        """The standard error of f, (temperatures,); zero at beta = 0."""
        return self.log_partition_error / (np.where(self.betas > 0, self.betas, 1) * self.n)

    def at(self, beta):
        """The index of a temperature in the ladder: `result.f[result.at(2.0)]`.

        Raises:
            ValueError: the ladder does not hold this beta.
        """
        return index_of(beta, self.betas)

    def x(self, beta):
        """The samples kept at beta, a float64 tensor (replicas, samples // thin, n) of +-1.

        Raises:
            ValueError: the ladder does not hold this beta, or no samples were kept at it.
        """
        kept = float(self.betas[self.at(beta)])
        if kept not in self.spins:
            raise ValueError(f"no samples were kept at beta = {beta:g}; ask for them with keep=")
        return torch.from_numpy(self.spins[kept]).double()


def metropolis(
    H, beta, samples, *, sweeps=1, burn_in=0, chains=1, order="random", seed=0, start=None
):
    """Single-spin-flip Metropolis chains; a flip that costs the energy d has min(1, e^(-beta d)).

    The method is that of Metropolis et al. (1953).
    Either order leaves the Boltzmann distribution invariant. At small beta, where nearly every
    flip is accepted, a sequential sweep turns all spins over and sweeps at random sites keep the
    parity of the number of up spins: take `heat_bath` there.

    Args:
        H: a PairwiseHamiltonian of n spins.
        beta: inverse temperature, >= 0.
        samples: how many to record in each chain, one every `sweeps` sweeps.
        sweeps, burn_in: in sweeps of n trial flips; the burn-in is not recorded.
        chains: independent chains, each with its own random numbers.
        order: "random" sites or "sequential" ones, 0 .. n-1 again and again.
        seed: the same one gives the same samples.
        start: spins (n,) or (chains, n) of +-1; drawn at random if None.

    Returns:
        `Chains`.

    Raises:
        ValueError: an argument is out of its range, or start is not +-1 or has another shape.
    """
    updates = {
        "random": kernels.METROPOLIS_RANDOM,
        "sequential": kernels.METROPOLIS_SEQUENTIAL,
    }
    update = _choice("order", order, updates)
    return _chains(H, beta, samples, sweeps, burn_in, chains, update, seed, start)


def heat_bath(
    H, beta, samples, *, sweeps=1, burn_in=0, chains=1, order="sequential", seed=0, start=None
):
    """Heat-bath chains: spin i is drawn anew, P(x_i = 1 | others) = sigma(2 beta local field).

    Ergodic in every order and at every beta. Arguments, result and errors as for `metropolis`.
    """
    updates = {"random": kernels.HEAT_BATH_RANDOM, "sequential": kernels.HEAT_BATH}
    update = _choice("order", order, updates)
    return _chains(H, beta, samples, sweeps, burn_in, chains, update, seed, start)


def _chains(H, beta, samples, sweeps, burn_in, chains, update, seed, start):
    beta, samples = as_beta(beta), as_count("samples", samples)
    sweeps, burn_in = as_count("sweeps", sweeps), as_count("burn_in", burn_in, at_least=0)
    chains = as_count("chains", chains)
    couplings, fields = kernels.arrays(H)
    streams = kernels.streams(seed, chains)
    x = _start(start, chains, H.n, streams)
    spins = np.empty((chains, samples, H.n), np.int8)
    energy = np.empty((chains, samples))
    flips = [
        kernels.run_chain(
            couplings, fields, beta, x[c], streams[c], update, burn_in, sweeps, spins[c], energy[c]
        )
        for c in range(chains)
    ]
    return Chains(beta, spins, energy, np.array(flips) / (samples * sweeps * H.n))


def parallel_tempering(
    H,
    betas,
    *,
    samples,
    sweeps=1,
    burn_in=None,
    replicas=8,
    update="heat_bath",
    keep=(),
    thin=1,
    seed=0,
    checkpoint=None,
    identity=None,
    progress=False,
):
    """Parallel tempering: a chain at every temperature, and swaps of neighbours that keep P exact.

    At beta = 0 the spins are drawn, not simulated, so that every visit there is a new start. The
    method is that of Hukushima and Nemoto (1996).

    Args:
        H: a PairwiseHamiltonian of n spins.
        betas: inverse temperatures, increasing from 0; see `ladder`.
        samples: recorded steps of each replica; a step is `sweeps` sweeps at every temperature,
            a record of the energies, and one attempt to swap every other pair of neighbours.
        burn_in: steps before the record; half of `samples` if None.
        replicas: independent copies of the whole ladder, with their own random numbers.
        update: "heat_bath" in order, or "metropolis" at random sites.
        keep: betas of the ladder at which spins are kept as well, every `thin` steps.
        seed: the same one gives the same samples.
        checkpoint: a file, written whole after each replica. If it is there at the start, the
            replicas that it holds are not done again.
        identity: a dict of plain values that must agree too for a checkpoint to be of this run.
        progress: show a bar.

    Returns:
        `Tempering`. The errors are those of `mean_with_error`, ln Z taken as the mean of the series
        that it is to first order, so that correlations in time and between temperatures count.

    Raises:
        ValueError: the ladder does not increase from 0, another argument is out of its range, or
            the checkpoint is damaged or of another run.
    """
    betas = as_ladder(betas)
    samples, thin = as_count("samples", samples, at_least=8), as_count("thin", thin)
    if thin > samples:
        raise ValueError(f"thin must not be above the {samples} samples, not {thin}")
    burn_in = samples // 2 if burn_in is None else as_count("burn_in", burn_in, at_least=0)
    sweeps, replicas = as_count("sweeps", sweeps), as_count("replicas", replicas)
    updates = {"heat_bath": kernels.HEAT_BATH, "metropolis": kernels.METROPOLIS_RANDOM}
    settings = {
        "betas": betas.tolist(),
        "samples": samples,
        "burn_in": burn_in,
        "sweeps": sweeps,
        "replicas": replicas,
        "update": _choice("update", update, updates),
        "keep": [index_of(beta, betas) for beta in keep],
        "thin": thin,
        "seed": seed,
    }
    saved = Checkpoint(checkpoint, None, (identity or {}) | settings | model_identity(H))
    streams = kernels.streams(seed, replicas)
    records = saved.load()
    for r in tqdm(range(replicas), initial=len(records), unit="replica", disable=not progress):
        if r >= len(records):
            records.append(_one_replica(H, settings, streams[r]))
            saved.save(records)
    energies = np.stack([record["energies"].numpy() for record in records])
    spins = np.stack([record["spins"].numpy() for record in records], axis=1)
    swaps = sum(record["swaps"] for record in records).numpy()
    log_partition, log_partition_error = log_z(H.n, betas, energies)
    means = [mean_with_error(energies[:, :, t]) for t in range(len(betas))]
    return Tempering(
        betas,
        log_partition,
        log_partition_error,
        np.array([m.mean for m in means]) / H.n,
        np.array([m.error for m in means]) / H.n,
        swaps[0] / swaps[1],
        np.array([record["trips"] for record in records]),
        energies,
        {float(betas[t]): spins[k] for k, t in enumerate(settings["keep"])},
        H.n,
    )


def _one_replica(H, settings, stream):
    """One copy of the ladder, as tensors and numbers that a checkpoint can hold."""
    betas = np.array(settings["betas"])
    kept = np.array(settings["keep"], dtype=np.int64)
    couplings, fields = kernels.arrays(H)
    energies = np.empty((settings["samples"], len(betas)))
    spins = np.empty((len(kept), settings["samples"] // settings["thin"], H.n), np.int8)
    names = ("update", "burn_in", "sweeps")
    options = [settings[name] for name in names]
    accepted, proposed, trips = kernels.run_ladder(
        couplings, fields, betas, stream, *options, kept, spins, energies
    )
    return {
        "energies": torch.from_numpy(energies),
        "spins": torch.from_numpy(spins),
        "swaps": torch.from_numpy(np.stack((accepted, proposed))),
        "trips": int(trips),
    }


def overlaps(x):
    """Overlaps q = sum_i a_i b_i / n of different replicas a, b at the same recorded step.

    Args:
        x: spins (replicas, samples, n) of +-1, at least two replicas.

    Returns:
        Array (pairs, samples), pairs (0, 1), (0, 2), ..., of independent replicas.

    Raises:
        ValueError: x is not +-1, or has another shape.
    """
    x = torch.as_tensor(x).double()
    if x.ndim != 3 or len(x) < 2 or not bool((x.abs() == 1).all()):
        raise ValueError(
            "spins must be +1 and -1 of shape (replicas, samples, n) with two replicas or more"
        )
    pairs = torch.triu_indices(len(x), len(x), offset=1)
    return ((x[pairs[0]] * x[pairs[1]]).mean(2)).numpy()


def _choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
    return choices[value]


def _start(start, chains, n, streams):
    """Spins (chains, n) to begin with; random ones from each chain's own numbers."""
    x = np.empty((chains, n))
    if start is None:
        for row, stream in zip(x, streams, strict=True):
            kernels.draw_spins(stream, row)
        return x
    start = np.asarray(start, dtype=float)
    if start.shape not in ((n,), (chains, n)):
        raise ValueError(f"start must have shape ({n},) or ({chains}, {n}), not {start.shape}")
    if not (np.abs(start) == 1).all():
        raise ValueError("start must hold +1 and -1 only")
    x[:] = start
    return x
