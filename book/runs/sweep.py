"""The table of runs, sweep.yaml: read it, say what is missing, do one row.

    python book/runs/sweep.py list             every row, and whether its result is there
    python book/runs/sweep.py stamp            mark the rows whose result is there
    python book/runs/sweep.py run NAME         do one row by papermill, and say what is left

Snakemake reads the table through `read`, in an environment of its own, so the module needs nothing
but PyYAML until a row is done.
"""

import argparse
import hashlib
import itertools
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
TABLE, RESULTS = HERE / "sweep.yaml", HERE.parent / "results"
WORK = HERE.parent.parent / "_build" / "runs"  # executed notebooks, logs and stamps
NOTEBOOKS = ("free_energy", "tempering", "inverse")
COSTS = ("short", "long", "gpu")


@dataclass(frozen=True)
class Row:
    """One run: the folder of its result, its notebook, its cost, and its parameters."""

    name: str
    notebook: str
    cost: str
    minutes: float
    parameters: dict

    def stamp(self):
        """The name of the file that marks the row as done; another one if the row changes."""
        content = json.dumps([self.notebook, self.parameters], sort_keys=True)
        return f"{self.name}.{hashlib.sha256(content.encode()).hexdigest()[:12]}.done"

    def needs(self):
        """The name of the row whose equilibrium samples the row takes, or None."""
        return self.parameters.get("equilibrium")

    def given(self, results, output):
        """The parameters for the notebook, with the folders of other results and of its own."""
        folders = {"output": str(output.resolve())}
        if self.needs():
            folders["equilibrium"] = str((results / self.needs()).resolve())
        return self.parameters | folders


def read(path=TABLE):
    """The rows of a table.

    Raises:
        ValueError: the table is not one; the sentence names the group.
    """
    try:
        groups = yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(groups, list):
        raise ValueError(f"{path} must be a list of groups")
    rows = [row for group in groups for row in _rows(path, group)]
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: two rows are named {name}")
    for row in rows:
        if row.needs() and row.needs() not in names:
            raise ValueError(f"{path}: row {row.name} needs {row.needs()}, which is no row")
    return rows


def _rows(path, group):
    """The rows of one group of the table."""
    known = {"name", "notebook", "over", "cost", "minutes", "parameters"}
    if not isinstance(group, dict) or "name" not in group:
        raise ValueError(f"{path}: a group has no name: {group!r}")
    name = group["name"]
    if unknown := set(group) - known:
        raise ValueError(f"{path}: group {name} has an unknown entry {min(unknown)!r}")
    if group.get("notebook") not in NOTEBOOKS:
        raise ValueError(f"{path}: notebook of group {name} must be one of {', '.join(NOTEBOOKS)}")
    if group.get("cost") not in COSTS:
        raise ValueError(f"{path}: cost of group {name} must be one of {', '.join(COSTS)}")
    minutes = group.get("minutes")
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        raise ValueError(f"{path}: minutes of group {name} must be a positive number")
    over = group.get("over", {})
    for values in itertools.product(*over.values()):
        here = dict(zip(over, values, strict=True))
        parameters = group.get("parameters", {}) | here
        if "equilibrium" in parameters:
            parameters["equilibrium"] = parameters["equilibrium"].format(**here)
        yield Row(
            name.format(**here),
            group["notebook"],
            group["cost"],
            minutes,
            parameters,
        )


def _settings(row, results):
    """The run that a row describes, checked."""
    from arnn.experiments import FreeEnergyRun
    from arnn.inverse_run import InverseRun
    from arnn.tempering_run import TemperingRun

    kinds = {"free_energy": FreeEnergyRun, "tempering": TemperingRun, "inverse": InverseRun}
    try:
        return kinds[row.notebook].from_namespace(row.given(results, results / row.name))
    except ValueError as error:
        raise ValueError(f"row {row.name}: {error}") from None


def finished(row, results=RESULTS):
    """Whether the result of the row, with just its parameters, is there and whole.

    It is not where the samples that the row needs are gone, by which it could be told.

    Raises:
        ValueError: the row's parameters are wrong, or the result is damaged.
    """
    from arnn import runs

    settings = _settings(row, results)
    needed = filter(None, (row.name, row.needs()))
    if not all((results / name).exists() for name in needed):
        return False
    found = runs.parameters_of(results / row.name, type(settings)().parameters())
    return found == settings.parameters()


def stamp(rows, results=RESULTS, work=WORK):
    """Mark the rows whose result is there, and no others; returns the rows that are left."""
    work.mkdir(parents=True, exist_ok=True)
    done = {row.name: finished(row, results) for row in rows}
    left = []
    for row in rows:
        mark = work / row.stamp()
        # Samples that are about to be drawn anew may be others than the row has been judged on.
        if done[row.name] and done.get(row.needs(), True):
            mark.touch()
        else:
            mark.unlink(missing_ok=True)
            left.append(row)
    return left


def left(rows, work=WORK, but=None):
    """What the marks say is still to do, in words; `but` is a row that is about to be marked."""
    missing = [row for row in rows if row != but and not (work / row.stamp()).exists()]
    hours = sum(row.minutes for row in missing) / 60
    return f"{len(missing)} of {len(rows)} runs left, about {hours:.1f} hours on one core"


def run(row, results=RESULTS, work=WORK, device="auto", threads=1):
    """Do one row by papermill; an older result of other parameters is replaced at the end.

    The executed notebook stays in `work`, also if it failed.

    Raises:
        papermill.PapermillExecutionError: the notebook failed.
    """
    import papermill

    if finished(row, results):
        return
    work.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    fresh = work / row.stamp().removesuffix(".done")  # the checkpoint of a row lies beside it
    place = {"threads": threads}
    place |= {"device": device} if row.notebook == "free_energy" else {}
    papermill.execute_notebook(
        HERE / f"{row.notebook}.ipynb",
        work / f"{row.name}.ipynb",
        parameters=row.given(results, fresh) | place,
        cwd=HERE,
        progress_bar=False,
        kernel_name="python3",
    )
    old = work / f"{row.name}.replaced"
    shutil.rmtree(old, ignore_errors=True)
    if (results / row.name).exists():
        shutil.move(results / row.name, old)
    shutil.move(fresh, results / row.name)  # after a kill before this, the next call does it
    shutil.rmtree(old, ignore_errors=True)


def main():
    """The commands of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("list", "stamp", "run"))
    parser.add_argument("name", nargs="?")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rows = read(options.table)
    if options.command == "list":
        for row in rows:
            state = "there" if finished(row, options.results) else "missing"
            print(f"{row.name:28} {row.notebook:12} {row.cost:6} {row.minutes:4} min  {state}")
    elif options.command == "stamp":
        stamp(rows, options.results, options.work)
        print(left(rows, options.work))
    else:
        chosen = [row for row in rows if row.name == options.name]
        if not chosen:
            raise ValueError(f"{options.table} has no row {options.name}")
        run(chosen[0], options.results, options.work, options.device, options.threads)
        said = f"{options.name} is there"
        if any(options.work.glob("*.done")):  # the marks were made, as by `make runs`
            said += f"; {left(rows, options.work, but=chosen[0])}"
        print(said, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"sweep: {error}")
