"""The evidence of the scorecard: every claim has it, and the runs and tests that it names exist."""

import ast
from functools import cache
from pathlib import Path

import pytest
import sweep
import yaml
from test_book import BOOK, CHAPTERS, code_cells, texts

from arnn.checks import stored_claims

TESTS = Path(__file__).resolve().parent
EVIDENCE = yaml.safe_load((BOOK / "evidence.yaml").read_text(encoding="utf-8"))


@pytest.fixture(params=EVIDENCE, ids=lambda entry: f"{entry['chapter']}: {entry['says']}")
def entry(request):
    return request.param


@cache
def defined_in(file):
    """The names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def runs():
    """The names of the rows of the table of runs."""
    return {row.name for row in sweep.read()}


def test_every_claim_has_one_entry_and_every_entry_a_claim():
    for path in CHAPTERS:
        entries = [e["says"] for e in EVIDENCE if e["chapter"] == int(path.name[:2])]
        says = [claim.says for claim in stored_claims(path)]
        for words in says:
            named = [start for start in entries if words.startswith(start)]
            assert len(named) == 1, f"{path.name}: {words!r} has {len(named)} entries"
        for start in entries:
            assert any(words.startswith(start) for words in says), f"{path.name}: {start!r}"


def test_the_tests_that_an_entry_names_exist(entry):
    assert entry["tests"]
    for file, names in entry["tests"].items():
        assert names
        assert set(names) <= defined_in(file), file


def test_the_runs_that_an_entry_names_exist_and_are_in_the_table(entry):
    for pattern in entry.get("runs", ()):
        found = {folder.name for folder in (BOOK / "results").glob(pattern)}
        assert found, pattern
        assert found <= runs()


def test_the_page_links_all_of_it():
    shown = "".join(text for cell in code_cells(BOOK / "scorecard.ipynb") for text in texts(cell))
    for entry in EVIDENCE:
        for file in entry["tests"]:
            assert f"{{download}}`{file} <../tests/{file}>`" in shown
        for pattern in entry.get("runs", ()):
            assert f"{{download}}`{pattern}" in shown
