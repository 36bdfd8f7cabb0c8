"""The pages that a stranger reads first: whole, and without a dead end."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(ROOT.glob("*.md"))


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request):
    return request.param


def test_nothing_is_left_to_fill_in(document):
    assert re.findall(r"\{[A-Z_]{3,}\}", document.read_text()) == []


def test_links_to_files_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    local = [target for target in targets if not re.match(r"https?:", target)]
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_every_command_that_is_named_exists(document):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    named = re.findall(r"(?:`|\$ )make ([a-z]+)", document.read_text())
    assert set(named) <= set(targets)


def test_citation_names_this_book_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    book = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]
    assert citation["title"] == book
    assert [entry["doi"] for entry in citation["references"]] == ["10.1038/s42005-023-01416-5"]
