"""What the compiled loops gain: a step in them, and in the plain form that is their reference.

`python benchmarks/loops.py` measures it for MADE, 1L and the cavity network on one thread, in about
two minutes on an idle machine, and saves benchmarks/loops.json. The SK networks are held against
the literal form in the table of `make bench`.
"""

import json
from pathlib import Path

from tqdm import tqdm

import run

RESULT = Path(__file__).with_name("loops.json")
SAMPLES = {"1L": 2000, "MADE_23": 2000, "MADE_32": 2000, "Cavity_2": 500, "Cavity_10": 500}


def cases(sizes=(50, 100, 200)):
    """Every measurement as a dict."""
    common = {"kind": "plain", "threads": 1, "repeats": 3}
    return [
        common | {"net": net, "n": n, "batch": batch}
        for net, batch in SAMPLES.items()
        for n in sizes
    ]


def main():
    """Measure and save."""
    rows = [run.measure(case) for case in tqdm(cases(), unit="measurement")]
    RESULT.write_text(json.dumps({"machine": run.machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
