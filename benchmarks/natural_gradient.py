"""Is the natural gradient of each conditional worth its time? It and Adam, error and time.

`python benchmarks/natural_gradient.py` trains from the same start by both, at one temperature and
on one thread, and saves benchmarks/natural_gradient.json.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import arnn
from arnn import estimators, training
from arnn.nets import SKRSB

RESULT = Path(__file__).with_name("natural_gradient.json")
BETA, BATCH = 1.0, 2000
SCHEDULES = {
    "adam": {"lr": 3e-3, "final_lr": 1e-4},
    "natural": {"lr": 0.3, "final_lr": 0.02},
}
DAMPINGS = (1e-1, 1e-2, 1e-3, 1e-4)


def measured(n, k, instance, steps, samples=200_000, **options):
    """One line of the result: the seconds of a training and the free energy that it reached."""
    H = arnn.sherrington_kirkpatrick(n, instance, dtype=torch.float32)
    net = SKRSB(H, k, beta=BETA)
    settings = SCHEDULES[options["optimiser"]] | options
    line = {"n": n, "k": k, "instance": instance, "steps": steps} | settings
    start = time.perf_counter()
    try:
        training.minimise_free_energy(net, H, [BETA], steps=steps, batch=BATCH, seed=1, **settings)
    except FloatingPointError:  # the training was lost
        return line | {"seconds": time.perf_counter() - start, "f": None, "f_error": None}
    seconds = time.perf_counter() - start
    generator = torch.Generator().manual_seed(2)
    found = estimators.free_energy(net, H, BETA, samples=samples, generator=generator)
    return line | {"seconds": seconds, "f": found.f, "f_error": found.f_error}


def cases(n):
    """Every training of the trial."""
    for k in (0, 1):
        for instance in (1, 2, 3):
            common = {"n": n, "k": k, "instance": instance}
            for steps in (100, 400, 1600):
                yield common | {"optimiser": "adam", "steps": steps}
            for steps in (40, 80, 160):
                for damping in DAMPINGS if steps == 80 else (1e-2,):
                    yield common | {"optimiser": "natural", "steps": steps, "damping": damping}


def main():
    """Both methods on several instances, printed and saved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for optimiser in SCHEDULES:  # compiles, and starts the pools of threads
        measured(10, 0, 1, 2, samples=10, optimiser=optimiser)
    rows = []
    for case in cases(options.n):
        rows.append(measured(**case))
        print(rows[-1], flush=True)
    result = {"beta": BETA, "batch": BATCH, "rows": rows}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
