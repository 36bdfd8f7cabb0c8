"""`make bench`: time everything, print one table and save it as benchmarks/table.json.

Each measurement is a process of its own (`measure.py`). Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
NETS = ("1P", "CW_inf", "1L", "MADE_23", "MADE_32", "SK_RS", "SK_1RSB", "SK_2RSB")
SK = ("SK_RS", "SK_1RSB", "SK_2RSB")


def cases(sizes, gpu=False):
    """Every measurement as a dict; `sizes` are the numbers of spins of the main table."""
    common = {"batch": 2000, "repeats": 5}
    rows = []
    for threads in (1, 2):
        main = {"threads": threads} | common
        rows += [{"kind": "net", "net": net, "n": n} | main for net in NETS for n in sizes]
        rows += [
            {"kind": "literal", "net": net, "n": n} | main | {"repeats": 3}
            for net in SK
            for n in sizes
            if n <= 200
        ]
        rows += [
            {"kind": "forward_passes", "net": net, "n": max(n for n in sizes if n <= 200)}
            | main
            | {"repeats": 3}
            for net in ("1L", "MADE_23", "MADE_32")
        ]
    one = {"threads": 1, "repeats": 3}
    largest = max(n for n in sizes if n <= 200)
    rows += [
        {"kind": "net", "net": "SK_1RSB", "n": n, "batch": 500} | one
        for n in (100, 200, 400, 800, 1000)
    ]
    rows += [
        {"kind": "net", "net": "SK_1RSB", "n": largest, "batch": batch} | one
        for batch in (250, 1000, 4000)
    ]
    rows += [
        {"kind": "natural", "net": net, "n": n, "batch": 2000} | one
        for net in ("1L", *SK)
        for n in sizes
        if n <= 200
    ]
    rows += [{"kind": "lattice", "n": n, "batch": 500} | one for n in (100, 400, 900)]
    memory = {"net": "SK_1RSB", "n": largest, "batch": 2000} | one | {"repeats": 1}
    rows.append({"kind": "literal_memory"} | memory)
    rows += [{"kind": "flips", "n": largest, "beta": beta} | one for beta in (0.5, 1.0, 2.0)]
    rows.append({"kind": "start"} | one)
    if gpu:
        rows += [
            {"kind": "gpu", "net": net, "n": n, "batch": 2000, "threads": 1, "repeats": 5}
            for net in ("1L", "MADE_23", *SK)
            for n in sizes
        ]
        several = {"n": 50, "batch": 2000, "instances": 10, "threads": 1, "repeats": 5}
        rows += [{"kind": "gpu_instances", "net": net} | several for net in SK]
    return rows


def measure(case):
    """The case with what was measured, from a process with the wanted number of threads."""
    threads = {name: str(case["threads"]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, str(HERE / "measure.py"), json.dumps(case)],
        env=os.environ | threads,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"the measurement {case} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def machine():
    """What the numbers belong to."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    packages = {name: version(name) for name in ("torch", "numpy", "numba")}
    return {"processor": model, "cores": os.cpu_count(), "versions": packages}


def as_lines(rows):
    """The table as it is printed: one line for each measurement."""
    for row in rows:
        where = f"{row.get('net', ''):8} n={row.get('n', '-'):>4} batch={row.get('batch', '-'):>4}"
        parts = []
        for name in ("step", "sample", "literal", "floor", "refresh", "dense", "forward_passes"):
            if name in row:
                parts.append(f"{name} {row[name]['median'] * 1e3:.1f} ms")
        for name in ("import", "first_use"):
            if name in row:
                parts.append(f"{name} {row[name]['median']:.2f} s")
        if "literal" in row and "step" in row:
            parts.append(f"literal/ours {row['literal']['median'] / row['step']['median']:.1f}")
            parts.append(f"ours/floor {row['step']['median'] / row['floor']['median']:.2f}")
        if "alone" in row:
            ratio = row["step"]["median"] / row["alone"]["median"]
            parts.append(f"one instance {row['alone']['median'] * 1e3:.1f} ms")
            parts.append(f"{row['instances']} instances/one {ratio:.1f}")
        if "forward_passes" in row:
            ratio = row["forward_passes"]["median"] / row["sample"]["median"]
            parts.append(f"passes/ours {ratio:.1f}")
        if "memory" in row:
            parts.append(f"memory {row['memory']:.0f} MB")
        if "roofline" in row:
            parts.append(f"{row['roofline']:.2f} of the special functions that {row['gpu']} can do")
        if "flips_per_second" in row:
            parts.append(f"beta={row['beta']:g} {row['flips_per_second']:.3g} proposed flips/s")
        yield f"{row['kind']:14} {where} threads={row['threads']}  " + ", ".join(parts)


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--output", type=Path, default=HERE / "table.json")
    options = parser.parse_args()
    bar = tqdm(cases(options.sizes, torch.cuda.is_available()), unit="measurement")
    rows = []
    for case in bar:
        rows.append(measure(case))
        bar.write(next(as_lines(rows[-1:])))
    text = json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
    partial = options.output.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(options.output)
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()
