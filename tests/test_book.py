"""The conventions of the chapters, as CONTRIBUTING.md states them."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from arnn.checks import VERDICTS, stored_claims

BOOK = Path(__file__).resolve().parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))  # the chapters and the pages that are executed as well
CODE_CELLS = range(12, 26)
WORDS = range(1200, 3601)
LONGEST_CELL = 30
# What differs from one run or machine to the next and so may not be stored.
VOLATILE = {
    "an absolute path": r"(?<![\w.:/])/(?:home|Users|root|tmp|work|usr|opt|var|mnt)/",
    "a memory address": r"\b0x[0-9a-fA-F]{6,}\b",
    "a time of day": r"\b\d{1,2}:\d{2}:\d{2}\b",
    "a date": r"\b20\d{2}-\d{2}-\d{2}\b",
    "a duration": r"\b\d+(?:\.\d+)?\s*(?:ms|µs|it/s|s/it|sec|secs|seconds)\b",
    "a progress bar": r"\d+%\|",
}


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def prose(path):
    """The words of a chapter, without its formulas and the options of its directives."""
    text = re.sub(r"```\{math\}.*?```|\$\$.*?\$\$|\$[^$\n]*\$", " ", markdown(path), flags=re.S)
    text = re.sub(r"^\s*(?::[\w-]+:.*|[`:]{3,}.*|\(.*\)=)$", " ", text, flags=re.M)
    return re.findall(r"[A-Za-z][\w'’-]*", text)


def texts(cell):
    """Every text that a code cell has stored."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for mime, data in output.get("data", {}).items():
            if mime.startswith("text/"):
                yield data


def figures(cell):
    return [o for o in cell.outputs if any(m.startswith("image/") for m in o.get("data", {}))]


def claims(cell):
    """The verdicts of the claims that a code cell shows."""
    shown = "".join(texts(cell))
    return re.findall(r'<div class="claim [^>]*data-verdict="([^"]*)"', shown)


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request):
    return request.param


def toc_files():
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    return [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]


def test_there_are_chapters():
    assert CHAPTERS


def test_contents_and_folder_agree():
    numbered = [name for name in toc_files() if re.match(r"\d\d_", name)]
    assert numbered == [path.stem for path in CHAPTERS]


def test_every_page_of_the_contents_exists():
    missing = [
        n for n in toc_files() if not any((BOOK / f"{n}{s}").exists() for s in (".md", ".ipynb"))
    ]
    assert not missing


def test_notebook_is_valid_and_plain(executed):
    notebook = read(executed)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    assert executed.read_text(encoding="utf-8").endswith("}\n")


def test_every_cell_was_executed_once_in_order(executed):
    counts = [cell.execution_count for cell in code_cells(executed)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_stored_output_is_an_error_or_a_warning(executed):
    for cell in code_cells(executed):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"{cell.source}\n{output.get('text')}"


def test_number_and_length_of_code_cells(chapter):
    cells = code_cells(chapter)
    assert len(cells) in CODE_CELLS
    for cell in cells:
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


def test_length_of_the_prose(chapter):
    assert len(prose(chapter)) in WORDS


def test_first_cell_is_title_and_opening_box(chapter):
    first = read(chapter).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"\(ch-[a-z0-9-]+\)=\n# \S", first.source), (
        "start with (ch-label)= and the title"
    )
    opening = r"(?:```|:::)\{admonition\} .+\n:class: opening\n(.*?)(?:```|:::)"
    box = re.search(opening, first.source, flags=re.S)
    assert box, "the first cell holds an {admonition} of class opening"
    for item in ("The question.", "What you need.", "Paper sections.", "Runs in"):
        assert f"**{item}**" in box[1]


def test_each_figure_has_caption_name_and_alternative_text(chapter):
    for cell in code_cells(chapter):
        shown = figures(cell)
        options = cell.metadata.get("mystnb", {})
        if not shown:
            assert "figure" not in options, f"a caption without a figure:\n{cell.source}"
            continue
        assert len(shown) == 1, f"one figure a cell:\n{cell.source}"
        figure = options.get("figure", {})
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), cell.source
        assert len(figure.get("caption", "").split()) >= 5, cell.source
        assert len(options.get("image", {}).get("alt", "").split()) >= 5, cell.source


def test_only_code_that_draws_or_words_a_claim_is_folded(chapter):
    for cell in code_cells(chapter):
        tags = set(cell.metadata.get("tags", []))
        assert not tags & {"remove-cell", "remove-input", "hide-cell", "nbval-skip"}, cell.source
        if "hide-input" in tags:
            assert figures(cell) or claims(cell), cell.source


def test_exercises_stand_at_the_end_each_with_a_folded_solution(chapter):
    text = markdown(chapter)
    _, _, end = text.partition("\n## Exercises")
    exercises = re.findall(r"\{exercise-start\}.*\n:label: (\S+)", end)
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown\n", end)
    assert 3 <= len(exercises) <= 5, "three to five exercises under '## Exercises'"
    assert solutions == exercises
    assert end.count("{exercise-end}") == end.count("{solution-end}") == len(exercises)
    assert len(re.findall(r"\{exercise-start\}", text)) == len(exercises)


def test_every_exercise_is_graded_and_one_is_predicted_before_it_is_run(chapter):
    _, _, end = markdown(chapter).partition("\n## Exercises")
    exercises = re.findall(r"\{exercise-start\} (.*)\n:label: (\S+)\n```\n(.*)", end)
    ungraded = [
        e for _, e, text in exercises if not re.match(r"\((Easy|Medium|Harder)\.\) \S", text)
    ]
    assert not ungraded, "an exercise begins with (Easy.), (Medium.) or (Harder.)"
    assert any(title.startswith("Predict, then run: ") for title, _, _ in exercises)


def test_claims_of_the_paper_stand_beside_what_was_found(chapter):
    verdicts = [verdict for cell in code_cells(chapter) for verdict in claims(cell)]
    assert verdicts, "show at least one arnn.checks.Claim"
    assert set(verdicts) <= set(VERDICTS)


def test_the_front_page_counts_the_verdicts_of_the_chapters():
    stored = [claim.verdict for path in CHAPTERS for claim in stored_claims(path)]
    front = (BOOK / "index.md").read_text()
    said = dict(re.findall(r"^\| ([a-z ]+?) \| (\d+) \|$", front, flags=re.M))
    assert said == {verdict: str(stored.count(verdict)) for verdict in VERDICTS}


def test_the_scorecard_has_every_claim_that_the_chapters_show():
    shown = "".join(text for cell in code_cells(BOOK / "scorecard.ipynb") for text in texts(cell))
    for path in CHAPTERS:
        stored = stored_claims(path)
        boxes = sum(len(claims(cell)) for cell in code_cells(path))
        assert len(stored) == boxes
        assert shown.count(f"]({path.name}#") == boxes


def test_labels_are_used_once_in_the_book():
    labels = [
        label
        for path in NOTEBOOKS
        for label in re.findall(r"^:label: (\S+)|^\((\S+)\)=", markdown(path), flags=re.M)
    ] + [
        cell.metadata["mystnb"]["figure"]["name"]
        for path in NOTEBOOKS
        for cell in code_cells(path)
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("what", VOLATILE)
def test_no_output_depends_on_time_or_machine(executed, what):
    for cell in code_cells(executed):
        for text in texts(cell):
            found = re.search(VOLATILE[what], text)
            assert not found, f"stored output holds {what}, {found[0]!r}, of:\n{cell.source}"


def test_source_and_prose_name_no_machine_path(executed):
    for cell in read(executed).cells:
        found = re.search(VOLATILE["an absolute path"], cell.source)
        assert not found, f"{found[0]!r} in:\n{cell.source}"
