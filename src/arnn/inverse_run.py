"""The heavy run of the inverse problem (Paper, Fig. 6): samples, training, and what was learned."""

import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch

from . import montecarlo, runs, workflow
from .hamiltonians import as_count, as_positive, sherrington_kirkpatrick
from .inverse import align_rows, correlation, pseudo_likelihood
from .likelihood import maximise_likelihood
from .nets import SKRSB

SAMPLERS = ("parallel_tempering", "metropolis")
REPLICAS = 8  # of parallel tempering; each gives four samples or more, for an error


@dataclass(frozen=True)
class InverseRun:
    """Learn SK_kRSB, first layer and all, from Monte Carlo samples of one SK instance.

    The defaults are the setting of Paper Fig. 6 with equilibrium samples; sampler "metropolis" is
    the one of SI Sec. IV, a single chain from one random start, with `sweeps` = 200.

    Raises:
        ValueError: a parameter is of the wrong type or out of range; the sentence names it.
    """

    n: int = 100
    instance: int = 4  # seed of the couplings
    beta: float = 2.0
    k: int = 1  # steps of replica symmetry breaking
    sampler: str = "parallel_tempering"
    samples: int = 10_000
    held_out: int = 3000  # of another run of the same sampler
    sweeps: int = 10  # between two samples of one chain
    burn_in: int = 3000  # sweeps before the first sample; 0 is the paper's
    truth_samples: int = 20_000  # steps of the tempering run that gives energy and entropy
    steps: int = 5000
    batch: int = 100
    lr: float = 1e-2
    final_lr: float = 5e-4
    evaluations: int = 25
    keep_all: bool = False  # samples and hidden layers too, not only the first layer
    seed: int = 0
    threads: int = 0  # of the CPU; 0 leaves the choice to PyTorch
    output: str = "result"

    def __post_init__(self):
        workflow.require_one_of("sampler", self.sampler, SAMPLERS)
        as_count("n", self.n, at_least=3)
        for name in ("sweeps", "steps", "batch", "evaluations"):
            as_count(name, getattr(self, name))
        for name in ("samples", "held_out"):
            as_count(name, getattr(self, name), at_least=4 * REPLICAS)
        as_count("truth_samples", self.truth_samples, at_least=8)
        for name in ("k", "instance", "burn_in", "seed", "threads"):
            as_count(name, getattr(self, name), at_least=0)
        for name in ("instance", "seed"):
            if getattr(self, name) >= 2**32:
                raise ValueError(f"{name} must be below 2**32, not {getattr(self, name)}")
        for name in ("beta", "lr", "final_lr"):
            as_positive(name, getattr(self, name))
        if not isinstance(self.keep_all, bool):
            raise ValueError(f"keep_all must be true or false, not {self.keep_all!r}")
        if self.batch > self.samples:
            raise ValueError(f"batch must be at most the {self.samples} samples, not {self.batch}")
        workflow.require_folder_name(self.output)

    @classmethod
    def from_namespace(cls, namespace):
        """The run that a notebook's global names describe; an unknown name is an error."""
        return cls(**workflow.given_parameters(cls, namespace))

    def parameters(self):
        """What decides the result, as JSON values: all but where it runs and where it goes."""
        return {k: v for k, v in asdict(self).items() if k not in ("output", "threads")}

    def place(self):
        """The torch device: these nets are small, and their kernels are for the CPU."""
        return torch.device("cpu")

    def make_hamiltonian(self):
        """The SK instance, in float64."""
        return sherrington_kirkpatrick(self.n, self.instance)

    def make_net(self):
        """The untrained net, in float32, with small random couplings in its first layer."""
        generator = torch.Generator().manual_seed(self.seed)
        options = {"init": "paper", "learn_first_layer": True, "generator": generator}
        H = self.make_hamiltonian().to(dtype=torch.float32)
        return SKRSB(H, self.k, beta=self.beta, **options)

    def penalty(self):
        """The l2 of `pseudo_likelihood` that is the prior of the SK model, J_ij of variance 1/n."""
        return self.n / (2 * self.beta**2 * self.samples)


class Drawn(NamedTuple):
    """Samples (M, n) of +-1, int8, and the mean of their energies per spin with its error."""

    x: np.ndarray
    energy: float
    energy_error: float


def run_inverse(settings, *, progress=True):
    """Do an `InverseRun`, or take up one that was interrupted, and save it; returns the Run.

    Raises:
        ValueError: the output cannot be written or holds another run, or the checkpoint does not
            fit.
        FloatingPointError: training diverged; the last good checkpoint is kept.
    """

    def work(checkpoint):
        H = settings.make_hamiltonian()
        drawn, held_out = (draw(settings, H, part) for part in range(2))
        net = settings.make_net()
        record = _learn(settings, H, net, drawn, held_out, checkpoint, progress)
        seconds = float(record.pop("seconds").sum())
        data = {name: value.numpy() for name, value in record.items()}
        data["curve"] = data["curve"].astype(np.float32)
        data |= _truth(settings, H) | _energies("sample", drawn) | _energies("held_out", held_out)
        data |= _estimates(settings, net, drawn)
        if settings.keep_all:
            data |= _everything(net, drawn, held_out)
        return data, seconds

    return workflow.run_once(settings, work)


def draw(settings, H, part):
    """Samples by the sampler of the run; part 0 to learn from, 1 to hold out, of another seed."""
    count, seed = (settings.samples, settings.held_out)[part], 3 * settings.seed + part
    if settings.sampler == "metropolis":
        options = {"sweeps": settings.sweeps, "burn_in": settings.burn_in, "seed": seed}
        chains = montecarlo.metropolis(H, settings.beta, count, **options)
        return _drawn(H, chains.spins, count)
    steps = max(8, -(-count // REPLICAS) * settings.sweeps)
    options = {"samples": steps, "thin": settings.sweeps, "burn_in": settings.burn_in}
    ladder = montecarlo.ladder(H.n, settings.beta)
    options |= {"replicas": REPLICAS, "keep": (settings.beta,), "seed": seed}
    result = montecarlo.parallel_tempering(H, ladder, **options)
    (spins,) = result.spins.values()
    return _drawn(H, spins, count)


def _drawn(H, spins, count):
    """`Drawn` from chains (chains, samples, n): so many, taken from all chains in turn."""
    energies = H.energy(torch.from_numpy(spins).double().reshape(-1, H.n)) / H.n
    mean = montecarlo.mean_with_error(energies.reshape(spins.shape[:2]).numpy())
    x = np.ascontiguousarray(spins.transpose(1, 0, 2).reshape(-1, H.n)[:count])
    return Drawn(x, mean.mean, mean.error)


def _learn(settings, H, net, drawn, held_out, checkpoint, progress):
    """Train; the record with the correlations at each evaluation."""
    last = [time.monotonic()]

    def watch(net, _step):
        now = time.monotonic()
        seconds, last[0] = now - last[0], now
        return correlations(net, H.couplings) | {"seconds": seconds}

    names = ("steps", "batch", "lr", "final_lr", "seed")
    return maximise_likelihood(
        net,
        drawn.x,
        held_out=held_out.x,
        evaluate_every=-(-settings.steps // settings.evaluations),
        watch=watch,
        checkpoint=checkpoint,
        identity=settings.parameters(),
        progress=progress,
        **{name: getattr(settings, name) for name in names},
    )


def correlations(net, couplings):
    """How the first layer of an SKRSB correlates with the couplings (n, n), over the pairs s < l.

    Returns:
        A dict: `absolute`, of |w_sl| with |J_sl| as in Paper Fig. 6; `signed`, after one sign for
        each row; `scaled`, after one sign and scale for each row; and `direct`, of the invariant
        weights omega_l w_sl, which need no choice.
    """
    rows = align_rows(net.couplings, couplings)
    return {
        "absolute": correlation(net.couplings, couplings, absolute=True),
        "signed": correlation(rows.signed, couplings),
        "scaled": correlation(rows.scaled, couplings),
        "direct": correlation(net.omega * net.couplings, couplings),
    }


def _truth(settings, H):
    """Equilibrium energy, free energy and entropy per spin, by a tempering run of its own."""
    result = montecarlo.parallel_tempering(
        H,
        montecarlo.ladder(H.n, settings.beta),
        samples=settings.truth_samples,
        seed=3 * settings.seed + 2,
    )
    energy, f = result.energy[-1], result.f[-1]
    # beta and the two errors: those of energy and f are nearly independent.
    error = settings.beta * float(np.hypot(result.energy_error[-1], result.f_error[-1]))
    return {
        "energy": energy,
        "energy_error": result.energy_error[-1],
        "f": f,
        "f_error": result.f_error[-1],
        "entropy": settings.beta * (energy - f),
        "entropy_error": error,
    }


def _energies(name, drawn):
    return {f"{name}_energy": drawn.energy, f"{name}_energy_error": drawn.energy_error}


def _estimates(settings, net, drawn):
    """The first layer that was learned, and the couplings by pseudo-likelihood, in units of J."""
    found = pseudo_likelihood(drawn.x, settings.penalty())
    return {
        "first_layer": net.couplings.detach().numpy(),
        "omega": net.omega.detach().numpy(),
        "pseudo_likelihood": (found.couplings / settings.beta).astype(np.float32),
    }


def _everything(net, drawn, held_out):
    """The samples as bits, and the layers behind the first."""
    return {
        "samples": runs.pack_spins(torch.from_numpy(drawn.x)),
        "held_out_samples": runs.pack_spins(torch.from_numpy(held_out.x)),
        "bias": net.bias.detach().numpy(),
        "weights": np.stack([w.detach().numpy() for w in net.weights]),
        "biases": np.stack([b.detach().numpy() for b in net.biases]),
    }


def restore(run):
    """The trained net and the samples of a result that was saved with keep_all.

    Returns:
        The SKRSB in float32; the samples and the held-out samples, float32 tensors of +-1.

    Raises:
        ValueError: the result holds the first layer only.
    """
    if "weights" not in run.data:
        raise ValueError("the result holds the first layer only; run it with keep_all")
    settings = InverseRun(**run.manifest["parameters"])
    net = settings.make_net()
    with torch.no_grad():
        net.couplings.copy_(torch.from_numpy(run.data["first_layer"]))
        net.omega.copy_(torch.from_numpy(run.data["omega"]))
        net.bias.copy_(torch.from_numpy(run.data["bias"]))
        for name in ("weights", "biases"):
            for layer, values in zip(getattr(net, name), run.data[name], strict=True):
                layer.copy_(torch.from_numpy(values))
    samples = (run.data[name] for name in ("samples", "held_out_samples"))
    return net, *(runs.unpack_spins(packed, net.n).float() for packed in samples)
