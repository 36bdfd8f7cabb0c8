"""The printed book, as far as it can be seen without LaTeX: what the writer is given and writes."""

import re

import pytest
import yaml
from docutils import nodes
from pybtex.database import parse_file
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from sphinx_exercise.nodes import solution_node
from sphinx_jupyterbook_latex.nodes import CellOutput
from test_book import BOOK, CHAPTERS
from test_terms import extension

from arnn.checks import VERDICTS, Claim, stored_claims

printing = extension("printing")
STYLE = (BOOK / "_tex" / "arnnbook.sty").read_text(encoding="utf-8")

PAGE = """
# A book

The opening.

```{toctree}
01_first
```
"""
CHAPTER = r"""
# First

```{math}
:label: eq-first
x = 1
```

````{prf:theorem} Of nothing
:label: thm-nothing
Nothing follows from {eq}`eq-first`.
````

```{prf:proof}
By inspection.
```

```{exercise} Repeat
:label: ex-repeat
Do it again.
```

```{solution} ex-repeat
Done.
```

| file | what it holds |
|---|---|
| `a_name_that_is_long/and_goes_on.py` | LONG |
""".replace("LONG", "far too long for one line of a page, " * 5)


@pytest.fixture(scope="module")
def latex(tmp_path_factory):
    """What Sphinx writes for a book of one chapter."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    (source / "index.md").write_text(PAGE)
    (source / "01_first.md").write_text(CHAPTER)
    extensions = ["myst_parser", "sphinx_exercise", "sphinx_proof", "sphinxcontrib.bibtex"]
    settings = {
        "extensions": [*extensions, "sphinx_jupyterbook_latex"],
        "myst_enable_extensions": ["dollarmath"],
        "bibtex_bibfiles": [],
        "latex_documents": [("index", "book.tex", "A book", "Somebody", "jupyterBook")],
        "numfig": True,
    }
    with patch_docutils(), docutils_namespace():
        app = Sphinx(source, None, built, built / "doctrees", "latex", settings, status=None)
        printing.setup(app)
        printing.prepare(app)
        app.build(force_all=True)
    return (built / "book.tex").read_text(encoding="utf-8")


def test_only_chapters_have_the_numbers_of_the_site(latex):
    assert latex.index(r"\bookafter") < latex.index(r"\chapter{Solutions}")
    assert r"\section{Chapter 1: First}" in latex
    assert (
        latex.index(r"\bookopening")
        < latex.index(r"\bookchapters")
        < latex.index(r"\chapter{First}")
    )


def test_a_proof_has_a_square_and_no_box(latex):
    proof = re.search(r"\\begin\{bookproof\}(.*?)\\end\{bookproof\}", latex, re.S)[1]
    assert r"\sphinxstyleemphasis{Proof.} By inspection." in proof
    assert not re.search(r"\\begin\{sphinxadmonition\}\{note\}\n", latex)


def test_an_exercise_and_its_solution_name_each_other(latex):
    exercise, solution = latex.split(r"\booksolution{", 1)
    label = re.search(r"\\bookseesolution\{solution:(.*?)\}", exercise)[1]
    assert solution.startswith(label + "}{")
    assert r"}{exercise:ex-repeat}" in solution
    assert r"\label{exercise:ex-repeat}" in exercise
    assert "Done." in solution
    assert "Done." not in exercise


def test_a_wide_table_gets_columns_that_fit_the_page(latex):
    table = re.search(r"\\begin\{bookwidetable\}(.*?)\\end\{bookwidetable\}", latex, re.S)[1]
    first, second = (int(width) for width, _ in re.findall(r"\\X\{(\d+)\}\{(\d+)\}", table))
    assert 10 <= first < second


def test_every_command_that_the_extension_writes_is_defined():
    source = (BOOK / "_ext" / "printing.py").read_text(encoding="utf-8")
    kinds = {"before", "chapters", "appendices"}
    commands = set(re.findall(r"\\(book[a-z]+)", source)) | {f"book{kind}" for kind in kinds}
    environments = set(re.findall(r"begin\{+(book\w+)", source))
    for name in commands:
        assert rf"\newcommand{{\{name}}}" in STYLE
    for name in environments:
        assert rf"\newenvironment{{{name}}}" in STYLE
    for box in printing.BOXES.values():
        assert rf"\bookbox{{{box}}}" in STYLE


@pytest.mark.parametrize(
    ("docname", "kind"),
    [
        ("prerequisites", "before"),
        ("16_your_own_hamiltonian", "chapters"),
        ("scorecard", "appendices"),
        ("api/nets", "appendices"),
    ],
)
def test_pages_are_numbered_by_their_kind(docname, kind):
    assert printing.kind_of(docname) == kind


def test_the_title_page_cites_the_paper():
    citation = yaml.safe_load((BOOK.parent / "CITATION.cff").read_text())["references"][0]
    (author,) = citation["authors"]
    title_page = " ".join(STYLE[STYLE.index(r"\bookpaper}") :].split())
    for part in ("title", "journal", "volume", "start", "year", "doi"):
        assert str(citation[part]) in title_page
    assert f"{author['given-names']} {author['family-names']}" in title_page


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_stored_claim_is_boxed(chapter):
    for claim in stored_claims(chapter):
        verdict = printing.CLAIM.fullmatch(repr(claim))[4]
        assert verdict in printing.BOXES


def test_each_verdict_has_its_own_box():
    assert set(printing.BOXES) == set(VERDICTS)
    assert len(set(printing.BOXES.values())) == len(VERDICTS)


def shown(text):
    """A document with one cell that shows a text, as the writer of LaTeX gets it."""
    document = nodes.container()
    output = CellOutput()
    output += nodes.container("", nodes.literal_block(text, text, language="none"))
    document += output
    printing.show_outputs(document)
    return document


def test_a_claim_is_boxed_and_leaves_the_frame_of_its_output():
    claim = Claim("Fig. 1", "A.", "B_1, 2^3.", "partly", "tests/test_a.py")
    document = shown(repr(claim))
    assert not list(document.findall(nodes.literal_block))
    assert not list(document.findall(CellOutput))
    begin, *_, end = document.findall(nodes.raw)
    assert begin.astext().endswith(r"\begin{sphinxadmonition}{caution}{Partly}")
    assert end.astext().strip() == r"\end{sphinxadmonition}"
    assert "The paper says (Fig. 1): A." in document.astext()
    assert "We find: B_1, 2^3." in document.astext()


def test_other_output_keeps_its_frame():
    (output,) = shown("✓ a check").findall(CellOutput)
    assert output.astext() == "✓ a check"


@pytest.mark.parametrize(
    "source", ["def f(x):\n    return x", "@njit(cache=True)\ndef f():\n    pass"]
)
def test_library_source_is_coloured(source):
    (block,) = shown(source).findall(nodes.literal_block)
    assert block["language"] == "python"


def test_the_note_on_what_moves_is_left_out():
    assert not list(shown("A moving picture, x. It needs scripts.").findall(nodes.literal_block))


def test_a_table_that_fits_keeps_its_columns():
    assert printing.columns([[(10, 5), (20, 5)], [(30, 8), (50, 9)]]) == []


def test_columns_hold_their_longest_word_and_fill_the_line():
    widths = printing.columns([[(30, 30), (400, 12), (4, 4)]])
    assert all(width >= word for width, word in zip(widths, (30, 12, 4), strict=True))
    assert max(widths) == widths[1]
    assert sum(widths) == pytest.approx(printing.LINE - 3 * printing.GAP, abs=2)


def test_a_formula_counts_less_than_its_latex():
    word = nodes.entry("", nodes.paragraph("", "", nodes.literal("", "a_b.c_dd")))
    formula = nodes.entry("", nodes.paragraph("", "", nodes.math("", r"\frac{1}{2}")))
    assert printing.entry_lengths(word) == pytest.approx((8 * 1.3, 2 * 1.3))
    assert printing.entry_lengths(formula) == (5.5, 5.5)


def test_a_link_to_an_exercise_of_another_page_has_its_number():
    document = nodes.container()
    exercise = printing.exercise_enumerable_node(label="ex-a")
    exercise += nodes.title("", "Exercise 3.1")
    link = addnodes.number_reference("", "Exercise 3.1", refuri="%03_a#ex-a", title="Exercise %s")
    document += [exercise, nodes.paragraph("", "", link)]
    printing.refer_to_exercises(document)
    *_, raw = document.findall(nodes.raw)
    assert raw.astext() == r"\hyperref[exercise:ex-a]{Exercise 3.1}"


def test_a_solution_keeps_the_formula_in_its_title():
    document = nodes.container()
    solution = solution_node(label="sol", target_label="ex-a")
    title = nodes.title()
    title += nodes.Text("Solution to")
    title += nodes.reference("", "", nodes.Text(" Exercise 1 ("), nodes.math("", "N^2"))
    solution += [title, nodes.paragraph("", "Because.")]
    document += solution
    printing.refer_to_exercises(document)
    assert not list(document.findall(nodes.reference))
    (formula,) = document.findall(nodes.math)
    assert formula.astext() == "N^2"


def test_the_bibliography_is_sorted_by_what_the_text_cites():
    bibliography = parse_file(BOOK / "references.bib", bib_format="bibtex")
    entries = sorted(bibliography.entries.values(), key=printing.sort_key)
    cited = [printing.cited_as(entry) for entry in entries]
    assert not [label for label in cited if re.search(r"[{}\\\\]", label)]
    assert "de Almeida and Thouless, 1978" in cited
    assert "Biazzo, 2023" in cited
    mezard, sherrington = (
        next(i for i, label in enumerate(cited) if label.startswith(name))
        for name in ("Mézard", "Sherrington")
    )
    assert mezard < sherrington


def test_a_term_with_a_hyphen_has_one_entry_in_the_index():
    document = nodes.container()
    document += addnodes.index(entries=[("single", "spin-flip; Chapter 1", "a", "", None)])
    printing.unify_hyphens(document)
    (index,) = document.findall(addnodes.index)
    assert index["entries"] == [("single", "spin\u2010flip; Chapter 1", "a", "", None)]
