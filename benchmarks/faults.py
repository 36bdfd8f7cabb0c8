"""`make faults`: kill toy runs at any moment, resume them, and compare with runs left alone.

Each kind of heavy run is a process of its own that is killed by SIGKILL, at random moments and at
each of its writes to the disk, and is started again until it ends. Every time what it left behind
is read: a result must be absent or whole, a checkpoint absent or one that the run takes up.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch
from tqdm import tqdm

import arnn
from arnn import experiments, inverse_run, nets, runs, tempering_run, training

RESULT = Path(__file__).resolve().with_name("faults.json")
# Processes that begin as copies of one that has loaded the packages, but none of its threads.
# PyTorch loads its compiler, a second of work, with the first optimiser.
PRELOADED = ["torch", "torch._dynamo", "numba", "arnn.inverse_run", "arnn.experiments"]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(PRELOADED)
SK = {"model": "sherrington_kirkpatrick", "n": 8, "instance": 1, "threads": 1}
ANNEALED = {"beta_start": 0.2, "beta_end": 1.2, "beta_step": 0.2, "samples": 400, "batch": 200}
# Toy runs of a second or less; each has several states to be resumed from.
KINDS = {
    "adam": SK | ANNEALED | {"net": "SKRSB", "k": 1, "steps": 100, "overlap_betas": (1.2,)},
    "natural": SK | ANNEALED | {"net": "SKRSB", "k": 1, "steps": 60, "optimiser": "natural"},
    "made": SK | ANNEALED | {"net": "MADE", "steps": 60},
    "exact": {"net": "1P", "method": "exact", "n": 8, "threads": 1, "dtype": "float64"},
    "tempering": {"n": 8, "threads": 1, "samples": 2000, "overlap_betas": (1.5,)},
    "inverse": {
        "n": 10,
        "threads": 1,
        "samples": 200,
        "held_out": 100,
        "truth_samples": 500,
        "steps": 600,
        "evaluations": 6,
    },
}
WRITES = ("fsync", "replace", "rename", "unlink")


def run(kind, output):
    """Do the toy run of a kind."""
    settings = KINDS[kind] | {"output": str(output)}
    if kind == "tempering":
        tempering_run.run_tempering(tempering_run.TemperingRun(**settings), progress=False)
    elif kind == "inverse":
        inverse_run.run_inverse(inverse_run.InverseRun(**settings), progress=False)
    else:
        experiments.run_free_energy(experiments.FreeEnergyRun(**settings), progress=False)


def die_at_write(number):
    """Kill this process just before its write to the disk of that number, counted from 1."""
    left = [number]

    def watched(function):
        def call(*args, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    for name in WRITES:
        setattr(os, name, watched(getattr(os, name)))


def start(kind, output, write=0):
    """The run as a process that has just begun its work; it dies at a write if one is given."""
    ready, said = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=child, args=(kind, str(output), write, said))
    process.start()
    said.close()
    ready.recv()  # an EOFError here means that the child did not come so far
    return process


def child(kind, output, write, said):
    """What a process that may be killed does."""
    torch.set_num_threads(1)
    # Loading the compiled loops is not what is to be killed.
    H = arnn.curie_weiss(3)
    training.minimise_free_energy(nets.SKRSB(H, 0, beta=1.0), H, [1.0], steps=1, batch=2)
    if write:
        die_at_write(write)
    said.send("ready")
    run(kind, output)


def ended(process):
    """Whether it ended by itself; False if it was killed. Anything else stops the campaign."""
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run failed with the code {process.exitcode}")
    return process.exitcode == 0


def is_whole(output):
    """Whether there is a result; an incomplete one is an error."""
    return Path(output).exists() and bool(runs.verify(output))


def left_alone(kind, output):
    """The hash of the result of a run that nothing disturbs, and the seconds of its work."""
    process = start(kind, output)
    began = time.monotonic()
    if not ended(process):
        raise SystemExit(f"the run of {kind} was killed by somebody else")
    return hash_of(output), time.monotonic() - began


def hash_of(output):
    """The hash of the data of a result, which is verified."""
    return runs.verify(output)["sha256"]


def killed_at_random(kind, folder, kills, seconds, seed):
    """Kill runs that would take so long at random moments, so many times.

    Returns:
        The hashes of all results, and how many kills left a checkpoint and how many a result.
    """
    chance, hashes = random.Random(seed), []
    done, with_checkpoint, with_result = 0, 0, 0
    while done < kills:
        output = Path(folder) / f"random_{len(hashes)}"
        finished = False
        while not finished:
            process = start(kind, output)
            if done < kills:
                time.sleep(chance.uniform(0, seconds))
                process.kill()
            finished = ended(process)
            done += not finished
            with_result += not finished and is_whole(output)
            with_checkpoint += not finished and Path(f"{output}.checkpoint").exists()
        hashes.append(hash_of(output))
    return hashes, {"kills": done, "with_checkpoint": with_checkpoint, "with_result": with_result}


def killed_at_each_write(kind, folder):
    """Kill one run before its first write, another before its second, until none is left.

    Returns:
        The hashes of all results, and the number of kills.
    """
    hashes, write = [], 1
    while True:
        output = Path(folder) / f"write_{write}"
        if ended(start(kind, output, write)):
            return hashes, {"kills": write - 1}
        is_whole(output)
        if not ended(start(kind, output)):
            raise SystemExit("a run was killed by somebody else")
        hashes.append(hash_of(output))
        write += 1


def campaign(kind, kills, seed):
    """Both, for one kind of run; what was counted, as JSON values."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, seconds = left_alone(kind, Path(folder) / "alone")
        found, at_random = killed_at_random(kind, folder, kills, seconds, seed)
        more, at_writes = killed_at_each_write(kind, folder)
        left = sorted(path.name for path in Path(folder).iterdir() if not path.is_dir())
    hashes = found + more
    return {
        "kind": kind,
        "at_random": at_random,
        "at_writes": at_writes,
        "results": len(hashes),
        "identical": hashes.count(wanted),
        "files_left": left,
    }


def main():
    """Carry out the campaign, print and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="random ones, for each kind of run")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    rows = []
    for kind in tqdm(KINDS, unit="kind"):
        rows.append(campaign(kind, options.kills, seed=len(rows)))
        tqdm.write(json.dumps(rows[-1]))
    options.output.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
