"""The links from the chapters to the glossary: which words become links, and which do not."""

import importlib.util
import re

import pytest
from test_book import BOOK


def extension(name):
    """A module of book/_ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BOOK / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


terms = extension("terms")
GLOSSARY = terms.glossary_terms(BOOK / "notation.md")


def test_the_terms_are_those_of_the_glossary_in_the_order_of_the_alphabet():
    assert {"free energy", "MADE", "replica symmetry breaking"} <= set(GLOSSARY)
    assert len(GLOSSARY) == len({term.lower() for term in GLOSSARY})
    assert sorted(GLOSSARY, key=str.lower) == GLOSSARY


def test_a_term_of_the_glossary_that_another_links_to_exists():
    linked = re.findall(r"\{term\}`([^`<]+)`", (BOOK / "notation.md").read_text(encoding="utf-8"))
    assert linked
    assert set(linked) <= set(GLOSSARY)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Replicas and their overlaps", ["Replica", "overlap"]),
        ("replica symmetry, then broken", ["replica symmetry"]),
        ("replica symmetry breaking", ["replica symmetry breaking"]),
        ("the free\nenergy of spin glasses", ["free\nenergy", "spin glass"]),
        ("this is made, MADE is not", ["MADE"]),
        ("for instance, one instance", ["instance"]),
        ("a logit-like preoverlap", []),
    ],
)
def test_which_words_match(text, found):
    assert [match[1] for match in terms.pattern_of(GLOSSARY).finditer(text)] == found


def test_the_front_page_shows_the_picture_that_its_notebook_has_stored():
    front = extension("front")
    page = (BOOK / "index.md").read_text(encoding="utf-8")
    assert f"```{{figure}} {front.PICTURE}\n" in page
    assert front.picture(BOOK / front.NOTEBOOK).startswith(b"\x89PNG")
