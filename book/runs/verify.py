"""`make verify`: every stored result has its hash, and one of its numbers is worked out anew.

    python book/runs/verify.py [FOLDER ...]    the results in book/results if none is named

A training or a tempering run keeps some of its samples, which give a free energy or an energy. The
Curie-Weiss trainings without samples are held to an identity, and the runs of Chapter 13 to the
correlation of the couplings that they learned.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from arnn import exact, runs
from arnn.experiments import FreeEnergyRun
from arnn.inverse import correlation
from arnn.inverse_run import InverseRun
from arnn.tempering_run import TemperingRun

RESULTS = Path(__file__).resolve().parent.parent / "results"
ROUNDING = 1e-6  # of single precision, where no samples are involved
SIGMAS = 5


class Recomputed(NamedTuple):
    """A number of a result as it is stored and as it was worked out anew, and their tolerance."""

    what: str
    stored: float
    found: float
    tolerance: float
    from_samples: bool


def settings_of(manifest):
    """The run that made a result, from its manifest."""
    parameters = dict(manifest["parameters"])
    kind = InverseRun if "sampler" in parameters else TemperingRun
    kind = FreeEnergyRun if "net" in parameters else kind
    if "overlap_betas" in parameters:
        parameters["overlap_betas"] = tuple(parameters["overlap_betas"])
    return kind(**parameters)


def recompute(result):
    """One number of a `runs.Run`, worked out anew.

    Raises:
        ValueError: the data are not of the run that the manifest describes, or have no number that
            could be worked out.
    """
    settings, data = settings_of(result.manifest), result.data
    if isinstance(settings, InverseRun):
        return _correlation(settings, data)
    if not np.array_equal(data["beta"], settings.betas()):
        raise ValueError("its temperatures are not those of its parameters")
    if "kept_spins" in data:
        return _from_samples(settings, data)
    if isinstance(settings, TemperingRun):
        raise ValueError("it keeps no samples")
    return _curie_weiss(settings, data)


def _from_samples(settings, data):
    """The free energy of a training, or the energy of a tempering run, from the samples kept."""
    beta, packed = float(data["overlap_beta"][-1]), data["kept_spins"][-1]
    row = int(np.flatnonzero(data["beta"] == beta)[0])
    x = runs.unpack_spins(packed, settings.n)
    H = settings.make_hamiltonian()
    energy = H.energy(x.to(H.dtype)).double().cpu().numpy()
    if isinstance(settings, FreeEnergyRun):
        name, values = "f", data["kept_log_prob"][-1] / beta + energy
        error = values.std() / math.sqrt(len(values))
    else:
        # Samples of one replica are correlated, those of different replicas are not.
        name, values = "energy", energy
        of_replicas = values.reshape(settings.replicas, -1).mean(1)
        error = of_replicas.std(ddof=1) / math.sqrt(settings.replicas)
    found, error = values.mean() / settings.n, error / settings.n
    # The free energy of a training by exact sums is stored without an error.
    stored_error = data[f"{name}_error"][row] if f"{name}_error" in data else 0.0
    tolerance = SIGMAS * math.hypot(error, stored_error)
    what = f"{name} at beta = {beta:g} from {len(values)} samples"
    return Recomputed(what, float(data[name][row]), float(found), tolerance, True)


def _curie_weiss(settings, data):
    """The free energy of a training without samples, from other numbers of the result."""
    beta, stored = float(data["beta"][-1]), float(data["f"][-1])
    if settings.method == "exact":
        true = exact.curie_weiss_free_energy(settings.n, beta, settings.coupling, settings.field)
        found = true + data["kl"][-1] / (beta * settings.n)
        what = "f from the divergence and the true free energy"
    else:
        found = data["energy"][-1] - data["entropy"][-1] / beta
        what = "f from energy and entropy"
    return Recomputed(f"{what} at beta = {beta:g}", stored, float(found), ROUNDING, False)


def _correlation(settings, data):
    """How the first layer that was learned correlates with the couplings (Paper, Fig. 6)."""
    learned = torch.from_numpy(data["first_layer"])
    couplings = settings.make_hamiltonian().couplings
    found = correlation(learned, couplings.to(learned.dtype), absolute=True)
    kept = int(np.flatnonzero(data["step"] == data["kept_step"])[0])
    stored = float(data["absolute"][kept])
    return Recomputed("correlation of |w| with |J|", stored, float(found), ROUNDING, False)


def verify(folder):
    """Load a result, whose hash is compared, and hold one of its numbers to the data.

    Raises:
        ValueError: something is wrong; the sentence names the result.
    """
    result = runs.load(folder)
    try:
        number = recompute(result)
    except (KeyError, IndexError) as error:
        raise ValueError(f"result {folder} lacks the data of its run: {error}") from None
    except ValueError as error:
        raise ValueError(f"result {folder} does not fit together: {error}") from None
    if not abs(number.found - number.stored) <= number.tolerance:
        raise ValueError(
            f"result {folder} does not fit together: {number.what} is {number.found:.6g}, "
            f"and {number.stored:.6g} is stored"
        )
    return number


def main():
    """Verify all that was named; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args()
    folders = options.folders or sorted(path for path in RESULTS.iterdir() if path.is_dir())
    numbers, wrong = [], []
    for folder in folders:
        try:
            numbers.append(verify(folder))
        except ValueError as error:
            wrong.append(error)
            print(error, file=sys.stderr)
        else:
            number = numbers[-1]
            print(f"{folder.name}: {number.what} {number.found:.6f}, stored {number.stored:.6f}")
    sampled = sum(number.from_samples for number in numbers)
    print(
        f"{len(numbers)} of {len(folders)} results are whole and fit together; in {sampled} of "
        "them a number was worked out from stored samples."
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
