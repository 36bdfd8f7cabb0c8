"""Every notebook of book/runs/ executed at toy size, as a reader would start it."""

from pathlib import Path

import papermill
import pytest
from toy_runs import OUTPUT_PARAMETER, TOY_RUNS

RUNS = Path(__file__).resolve().parent.parent / "book" / "runs"
NOTEBOOKS = {path.stem: path for path in sorted(RUNS.glob("*.ipynb"))}


def test_every_run_notebook_has_toy_parameters():
    assert NOTEBOOKS.keys() == TOY_RUNS.keys()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_notebook_at_toy_size(name, tmp_path):
    output = tmp_path / "result"
    papermill.execute_notebook(
        NOTEBOOKS[name],
        tmp_path / "executed.ipynb",
        parameters={**TOY_RUNS[name], OUTPUT_PARAMETER: str(output)},
        kernel_name="python3",
        cwd=RUNS,
        progress_bar=False,
    )
    left = sorted(path.name for path in output.rglob("*") if path.is_file())
    assert "manifest.json" in left, f"the run left {left} and no manifest"
