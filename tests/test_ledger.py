"""The ledger of equations against the chapters, the errata and the tests: none missing anywhere."""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml
from test_book import BOOK, CHAPTERS, code_cells, markdown, texts

EQUATIONS = Path(__file__).resolve().parent / "equations"
LEDGER = yaml.safe_load((BOOK / "ledger.yaml").read_text(encoding="utf-8"))
ROWS = [(part, row) for part in ("main", "si") for row in LEDGER[part]]
EMPTY = ("si", "23")
UNNUMBERED = {"27b": "above SI Eq. (28)", "31b": "above SI Eq. (32)"}


def label(part, row):
    return row.get("place", f"{'paper' if part == 'main' else 'si'}-eq-{row['number']}")


@cache
def files_of_equations():
    """Equation -> its file; a file that names no equation by its number fails."""
    found = {}
    for path in sorted(EQUATIONS.glob("test_*.py")):
        match = re.fullmatch(r"test_(eq|si)0*(\d+b?)_\w+\.py", path.name)
        assert match, path.name
        equation = ("main" if match[1] == "eq" else "si", match[2])
        assert equation not in found, f"two files of {equation}"
        found[equation] = path
    return found


@cache
def labels():
    """Label of an equation -> number of the chapter that holds it."""
    return {
        name: int(path.name[:2])
        for path in CHAPTERS
        for name in re.findall(r"^:label: (\S*eq-\S+)", markdown(path), flags=re.M)
    }


def corrected_by_the_errata():
    """The equations that the table of the errata names, such as those of "SI Eqs. (20)-(22)"."""
    shown = "".join(text for cell in code_cells(BOOK / "errata.ipynb") for text in texts(cell))
    found = set()
    for where in re.findall(r"^\| ([^|]+) \| .* \|$", shown, flags=re.M):
        found |= {("si", number) for number, place in UNNUMBERED.items() if place in where}
        if not re.match(r"(SI )?Eq", where):  # such as "below Eq. (9)", which is about a sentence
            continue
        for si, numbers in re.findall(r"(SI )?Eqs?\. ((?:\(\d+\)(?:-|, )?)+)", where):
            for first, last in re.findall(r"\((\d+)\)(?:-\((\d+)\))?", numbers):
                span = range(int(first), int(last or first) + 1)
                found |= {("si" if si else "main", str(number)) for number in span}
    return found - {EMPTY}


def test_every_number_of_the_paper_has_one_row():
    numbers = {part: [row["number"] for of, row in ROWS if of == part] for part in LEDGER}
    assert numbers["main"] == [str(k) for k in range(1, 21)]
    plain = [number for number in numbers["si"] if number not in UNNUMBERED]
    assert plain == [str(k) for k in range(1, 49)]
    assert len(numbers["si"]) == 48 + len(UNNUMBERED)


def test_rows_and_files_of_tests_agree():
    assert {(part, row["number"]) for part, row in ROWS} - {EMPTY} == files_of_equations().keys()


def test_rows_and_labelled_equations_of_the_chapters_agree():
    placed = {label(part, row) for part, row in ROWS if (part, row["number"]) != EMPTY}
    held = labels()
    assert placed <= held.keys()
    assert {name for name in held if re.match(r"(paper|si)-eq-", name)} <= placed


@pytest.mark.parametrize(("part", "row"), ROWS, ids=lambda value: str(value)[:20])
def test_the_file_of_tests_names_equation_and_chapter(part, row):
    if (part, row["number"]) == EMPTY:
        return
    text = ast.get_docstring(ast.parse(files_of_equations()[part, row["number"]].read_text()))
    first = f"{'SI ' if part == 'si' else ''}Eq. ({row['number']})"
    assert first in text or row["number"] in UNNUMBERED
    assert int(re.search(r"Chapter (\d+)\.$", text)[1]) == labels()[label(part, row)]


def test_what_the_errata_correct_is_corrected_in_the_ledger():
    said = {
        (part, row["number"]) for part, row in ROWS if row.get("erratum", "").startswith("err-")
    }
    assert said == corrected_by_the_errata()


def test_every_erratum_that_is_named_exists():
    held = set(re.findall(r"^\(([\w-]+)\)=", markdown(BOOK / "errata.ipynb"), flags=re.M))
    assert {row["erratum"] for _, row in ROWS if "erratum" in row} <= held


def test_a_file_of_tests_says_whether_the_equation_is_corrected():
    repeats = {("si", number) for number in ("36", "37", "40", "43", "44")}  # slips of earlier ones
    for (part, number), path in files_of_equations().items():
        text = ast.get_docstring(ast.parse(path.read_text()))
        if "Correct as printed" in text or "no misprint" in text:
            row = next(row for of, row in ROWS if (of, row["number"]) == (part, number))
            assert "erratum" not in row or (part, number) in repeats, path.name


def test_the_page_shows_every_row():
    cells = nbformat.read(BOOK / "ledger.ipynb", as_version=4).cells
    shown = "".join(text for cell in cells if cell.cell_type == "code" for text in texts(cell))
    for _, row in ROWS:
        assert f"| {row['number']} | {row['says']} |" in shown
    for path in files_of_equations().values():
        assert f"<../tests/equations/{path.name}>`" in shown
