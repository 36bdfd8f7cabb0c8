"""The toy table of runs and the call of Snakemake that carries it out."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ROOT / "tests" / "sweep" / "smoke.yaml"


def command(folder, *options):
    """The call that carries out folder/table.yaml, with results and work in the folder too."""
    config = {name: folder / name for name in ("results", "work")} | {"device": "cpu"}
    config |= {"python": sys.executable, "table": folder / "table.yaml"}
    call = [ROOT / ".venv-runs" / "bin" / "snakemake"]
    call += ["--snakefile", ROOT / "book" / "runs" / "Snakefile", "--keep-going"]
    call += ["--rerun-triggers", "mtime", *options, "--config"]
    return [*map(str, call), *(f"{name}={value}" for name, value in config.items())]


def hashes(folder):
    """The hash of each result in the folder, by its name."""
    return {
        path.parent.name: json.loads(path.read_text())["sha256"]
        for path in (folder / "results").glob("*/manifest.json")
    }
