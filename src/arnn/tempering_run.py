"""The heavy run of the truth: free energy, energy and overlaps by parallel tempering."""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch

from . import montecarlo, runs, workflow
from .hamiltonians import as_count, as_positive, sherrington_kirkpatrick


@dataclass(frozen=True)
class TemperingRun:
    """Parallel tempering of one SK instance, on the temperatures of a `FreeEnergyRun`.

    After a kill the replicas that were finished are not done again.

    Raises:
        ValueError: a parameter is of the wrong type or out of range; the sentence names it.
    """

    n: int = 20
    instance: int = 1  # seed of the couplings
    beta_start: float = 0.1
    beta_end: float = 2.0
    beta_step: float = 0.05
    samples: int = 20_000  # recorded steps of each replica
    sweeps: int = 1  # at each temperature between two records
    replicas: int = 8  # independent copies of the whole ladder
    overlap_betas: tuple = ()
    seed: int = 0
    threads: int = 0  # of the CPU; 0 leaves the choice to PyTorch
    output: str = "result"

    def __post_init__(self):
        for name in ("n", "sweeps"):
            as_count(name, getattr(self, name))
        as_count("samples", self.samples, at_least=8)
        as_count("replicas", self.replicas, at_least=4)
        for name in ("instance", "seed", "threads"):
            as_count(name, getattr(self, name), at_least=0)
        for name in ("instance", "seed"):
            if getattr(self, name) >= 2**32:
                raise ValueError(f"{name} must be below 2**32, not {getattr(self, name)}")
        for name in ("beta_start", "beta_end", "beta_step"):
            as_positive(name, getattr(self, name))
        if self.beta_end < self.beta_start:
            raise ValueError(
                f"beta_end must be at least beta_start, not {self.beta_end} < {self.beta_start}"
            )
        if not isinstance(self.overlap_betas, list | tuple):
            raise ValueError(f"overlap_betas must be a list, not {self.overlap_betas!r}")
        missing = [beta for beta in self.overlap_betas if beta not in self.betas()]
        if missing:
            raise ValueError(f"overlap_betas must lie on the beta grid, and {missing[0]} does not")
        workflow.require_folder_name(self.output)

    @classmethod
    def from_namespace(cls, namespace):
        """The run that a notebook's global names describe; an unknown name is an error."""
        given = workflow.given_parameters(cls, namespace)
        if isinstance(given.get("overlap_betas"), list):
            given["overlap_betas"] = tuple(given["overlap_betas"])
        return cls(**given)

    def parameters(self):
        """What decides the result, as JSON values: all but where it runs and where it goes."""
        values = {k: v for k, v in asdict(self).items() if k not in ("output", "threads")}
        return values | {"overlap_betas": list(self.overlap_betas)}

    def betas(self):
        """The inverse temperatures of the result, as in `FreeEnergyRun`."""
        count = math.floor((self.beta_end - self.beta_start) / self.beta_step + 1e-9) + 1
        return [round(self.beta_start + k * self.beta_step, 10) for k in range(count)]

    def ladder(self):
        """Those, and what lies between them and 0, where ln Z is known."""
        return montecarlo.ladder(self.n, self.betas()[-1], include=self.betas())

    def place(self):
        """The torch device: the Monte Carlo loops are for the CPU."""
        return torch.device("cpu")

    def make_hamiltonian(self):
        """The SK instance, in float64."""
        return sherrington_kirkpatrick(self.n, self.instance)


def run_tempering(settings, *, progress=True):
    """Do a `TemperingRun`, or take up one that was interrupted, and save it; returns the Run.

    The arrays are `beta`, `f`, `f_error`, `energy` and `energy_error` (per spin), at the
    temperatures asked for; `ladder` and `swap_rate`; `round_trips` of each replica; and
    `overlap_probability` with `overlap_error` (overlap_betas, n+1), and `kept_spins`
    (overlap_betas, samples, bytes), as in `FreeEnergyRun`.

    Raises:
        ValueError: the output cannot be written or holds another run.
    """

    def work(checkpoint):
        found = montecarlo.parallel_tempering(
            settings.make_hamiltonian(),
            settings.ladder(),
            samples=settings.samples,
            sweeps=settings.sweeps,
            replicas=settings.replicas,
            keep=settings.overlap_betas,
            seed=settings.seed,
            checkpoint=checkpoint,
            progress=progress,
        )
        rows = [found.at(beta) for beta in settings.betas()]
        data = {"beta": np.array(settings.betas()), "ladder": found.betas}
        for name in ("f", "f_error", "energy", "energy_error"):
            data[name] = getattr(found, name)[rows]
        data |= {"swap_rate": found.swap_rate, "round_trips": found.round_trips}
        return data | _overlap_laws(settings, found), 0.0

    return workflow.run_once(settings, work)


def _overlap_laws(settings, found):
    """The distribution of the overlap of different replicas, its error from separate pairs."""
    if not settings.overlap_betas:
        return {}
    laws = np.array([_laws_of_pairs(found.x(beta)) for beta in settings.overlap_betas])
    return {
        "overlap_beta": np.array(settings.overlap_betas),
        "overlap_probability": laws.mean(1),
        "overlap_error": laws.std(1, ddof=1) / math.sqrt(laws.shape[1]),
        "kept_spins": np.array([_kept(found.x(beta)) for beta in settings.overlap_betas]),
    }


def _kept(x):
    """Some of the samples x (replicas, samples, n), the same number from each replica, packed."""
    replicas, samples, n = x.shape
    each = max(1, runs.KEPT_SAMPLES // replicas)
    stride = -(-samples // each)
    return runs.pack_spins(x[:, stride - 1 :: stride].reshape(-1, n))


def _laws_of_pairs(x):
    """The law on the n+1 possible overlaps, for each pair of replicas 0 and 1, 2 and 3, ..."""
    n = x.shape[2]
    pairs = zip(x[0::2], x[1::2], strict=False)
    agreeing = [((a * b).sum(1).add(n) / 2).round().long() for a, b in pairs]
    return [(torch.bincount(sites, minlength=n + 1) / len(sites)).numpy() for sites in agreeing]
