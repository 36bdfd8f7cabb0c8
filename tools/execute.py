"""Execute the book's notebooks in fresh kernels and store their outputs in place.

Whatever differs between two runs of the same code (times, versions, widget state) is left out, so
executing a chapter again changes its file only if a result has changed.
"""

import argparse
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

BOOK = Path(__file__).resolve().parent.parent / "book"
CELL_TIMEOUT = 600
READ_THE_OTHERS = ("scorecard.ipynb",)  # executed last, since they show what the others stored
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
VOLATILE_NOTEBOOK_METADATA = {"papermill", "signature", "widgets"}
VOLATILE_CELL_METADATA = {"ExecuteTime", "collapsed", "execution", "papermill", "scrolled"}


class ChapterError(Exception):
    """A chapter did not run to its end; the message names the chapter and the cell."""


def normalise(notebook):
    """Drop what is volatile from a notebook and give every cell one lasting id.

    An id that is there is kept, so that a review of a change shows only what changed. A cell
    without one, or with a copy of another's, gets the same new id on every machine.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for key in VOLATILE_NOTEBOOK_METADATA:
        notebook.metadata.pop(key, None)
    notebook.metadata.update(nbformat.from_dict(NOTEBOOK_METADATA))
    seen = set()
    for position, cell in enumerate(notebook.cells):
        for key in VOLATILE_CELL_METADATA:
            cell.metadata.pop(key, None)
        if cell.get("id") in seen | {None}:
            cell["id"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{position} {cell.source}").hex[:8]
        seen.add(cell["id"])


def to_text(notebook):
    """The exact text of a notebook's file."""
    return nbformat.writes(notebook, indent=1, sort_keys=True, ensure_ascii=False).rstrip() + "\n"


def write_if_changed(path, text):
    """Write ``text`` in one step, and only if it differs. Returns whether it did."""
    if path.read_text(encoding="utf-8") == text:
        return False
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)
    return True


def where_it_stopped(notebook):
    """The number, from 1, of the first code cell that failed or never ran."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(code, start=1):
        failed = any(output.output_type == "error" for output in cell.outputs)
        if failed or cell.execution_count is None:
            return number
    return len(code)


def execute(path):
    """Execute one chapter. Returns whether its file changed; raises ChapterError and leaves it."""
    notebook = nbformat.read(path, as_version=4)
    normalise(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ChapterError(
            f"{path.name}: code cell {where_it_stopped(notebook)} failed; "
            f"the stored notebook is as it was.\n{error}"
        ) from error
    normalise(notebook)
    return write_if_changed(path, to_text(notebook))


def chapters(prefixes):
    """The notebooks whose names start with one of ``prefixes``; all of them if there is none."""
    every = sorted(BOOK.glob("*.ipynb"))
    chosen = [path for path in every if path.name.startswith(tuple(prefixes or [""]))]
    if not chosen:
        names = ", ".join(path.stem for path in every) or "none"
        raise SystemExit(f"No notebook starts with {' or '.join(prefixes) or 'any name'}: {names}.")
    return chosen


def main():
    """Execute the chapters named on the command line, some at a time, and say what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", nargs="*", help="the start of a notebook's name, as 03 or errata")
    parser.add_argument("--jobs", type=int, default=1, help="how many chapters run at a time")
    options = parser.parse_args()
    chosen = chapters(options.prefix)
    last = [path for path in chosen if path.name in READ_THE_OTHERS]
    first = [path for path in chosen if path not in last]
    failures = [_execute_all(paths, options.jobs) for paths in (first, last)]
    return 1 if any(failures) else 0


def _execute_all(paths, jobs):
    """Execute some notebooks, so many at a time, and say what changed; the number that failed."""
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        results = [(path, pool.submit(execute, path)) for path in paths]
        for path, result in results:
            try:
                print(f"{path.name}: {'changed' if result.result() else 'unchanged'}", flush=True)
            except ChapterError as error:
                print(error, file=sys.stderr, flush=True)
                failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
