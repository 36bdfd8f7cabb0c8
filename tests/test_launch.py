"""What lets a reader run a chapter elsewhere: Binder, Colab, the buttons, and the knobs."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))


@pytest.fixture(scope="module")
def launch():
    spec = importlib.util.spec_from_file_location("launch", ROOT / "book" / "_ext" / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/someone/some-book",
        "https://github.com/someone/some-book.git\n",
        "git@github.com:someone/some-book.git",
        "ssh://git@github.com/someone/some-book.git",
    ],
)
def test_buttons_lead_to_the_copy_that_is_built(launch, remote):
    assert launch.public_address(remote) == "https://github.com/someone/some-book"


@pytest.mark.parametrize(
    "remote", ["", "../book", "https://example.org/a/b", "https://github.com/a"]
)
def test_no_button_without_an_address_that_the_services_can_fetch(launch, remote):
    assert launch.public_address(remote) is None


def test_a_folder_without_git_has_no_remote(launch, tmp_path):
    assert launch.remote_of(tmp_path) == ""


def test_binder_installs_the_pins_and_this_package():
    binder = ROOT / ".binder"
    assert (binder / "runtime.txt").read_text() == "python-3.11\n"
    lines = (binder / "requirements.txt").read_text().splitlines()
    (reference,) = [line for line in lines if not line.startswith("#")]
    option, path = reference.split()
    assert option == "-r"
    assert (binder / path).resolve() == ROOT / "requirements.txt"
    script = binder / "postBuild"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert "-e ." in script.read_text()


def test_cell_for_colab_is_valid():
    cells = re.findall(
        r"```python\n(!git clone.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert len(cells) == 1
    ast.parse(TransformerManager().transform_cell(cells[0]))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_first_cell_names_the_knobs(path):
    """Names that are given plain numbers or texts, in the first code cell of each chapter."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    knobs = [
        name
        for node in ast.parse(cells[0].source).body
        if isinstance(node, ast.Assign) and plain(node.value)
        for name in ast.walk(node.targets[0])
        if isinstance(name, ast.Name)
    ]
    assert knobs


def plain(node):
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def test_change_j_and_run():
    """Chapter 3 with another coupling: all of its checks hold, and nothing else was changed."""
    notebook = nbformat.read(ROOT / "book" / "03_curie_weiss_exactly.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.count("\ncoupling = 1.0") == 1
    first.source = first.source.replace("\ncoupling = 1.0", "\ncoupling = 0.7")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT / "book"}}).execute()
