"""The printed book: what LaTeX needs otherwise than a browser.

Everything here acts on the one doctree that Sphinx makes of all pages for LaTeX, and on nothing
else, so the site does not know of it. The commands that it writes are defined in _tex/arnnbook.sty.

- The chapters have the numbers of the site. The pages before them have none, those after them are
  appendices with letters.
- Solutions stand in a chapter at the end; each exercise and its solution name the other's page.
- Claims are boxes, proofs end in a square, library source is coloured.
- Wide tables get columns that fit the page, in smaller type.
- The bibliography is sorted by the names that the text cites.
"""

import re
import unicodedata

from docutils import nodes
from sphinx import addnodes
from sphinx.builders.latex.nodes import thebibliography
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node, solution_node
from sphinx_jupyterbook_latex.nodes import CellOutput, RootHeader

CHAPTER = re.compile(r"\d\d_")
CLAIM = re.compile(
    r"The paper says \((.*?)\): (.*?)\nWe find: (.*)\nVerdict: (.*?)\. Shown by: (.*)", re.DOTALL
)
# The kinds of Sphinx's boxes that have the verdicts' colours, set in arnnbook.sty.
BOXES = {
    "reproduced": "tip",
    "reproduced with a correction": "hint",
    "partly": "caution",
    "not reproduced": "danger",
}
LIBRARY_SOURCE = re.compile(r"(@\w+.*\n)?(def|class) \w+")
# How many letters of the small type of a table fit a line, and how many a gap of columns takes.
LINE, GAP = 120, 2
# The letters of code are wide, and a formula takes about half as many as its LaTeX has.
WIDTHS = {nodes.literal: 1.3, nodes.math: 0.5}
# A word can be broken after these; arnnbook.sty does it where it is code.
BREAKS = re.compile(r"[\s./_,;:?!-]+")


def raw(latex):
    """LaTeX for the printed book alone."""
    return nodes.raw("", latex, format="latex")


def prepare(app):
    """Set what the writer of LaTeX is to do otherwise than that of HTML."""
    if app.builder.name == "latex":
        app.config.pygments_style = "a11y-high-contrast-light"
        # Jupyter Book's LaTeX counts the part as a level, and a theorem would be numbered like a
        # section, as 2.4.1. The writer needs the part to be counted, see `rewrite`.
        app.config.numfig_secnum_depth = 1


def rewrite(app, doctree, _):
    """Turn the doctree of all pages into that of the printed book."""
    if app.builder.name != "latex":
        return
    app.config.numfig_secnum_depth = 2
    show_outputs(doctree)
    end_proofs(doctree)
    refer_to_exercises(doctree)
    fit_tables(doctree)
    sort_bibliography(app.env.get_domain("cite"), doctree)
    number_chapters(doctree)
    move_solutions(doctree)
    unify_hyphens(doctree)


# -- What cells show


def show_outputs(doctree):
    """Box the claims, colour the library's source, and leave out what only a browser shows."""
    for output in list(doctree.findall(CellOutput)):
        for block in list(output.findall(nodes.literal_block)):
            text = block.astext()
            if claim := CLAIM.fullmatch(text):
                place = output.parent.index(output) + 1
                output.parent[place:place] = boxed(*claim.groups())
                block.parent.remove(block)
            elif LIBRARY_SOURCE.match(text):
                block["language"] = "python"
            elif text.startswith("A moving picture, "):
                block.parent.remove(block)
        # The frame of an output is for text. A table or a figure has the width of the page.
        if not any(output.findall(nodes.literal_block)):
            output.replace_self(output.children)


def boxed(place, says, found, verdict, evidence):
    """The nodes of a claim of the paper."""

    def paragraph(lead, text):
        return nodes.paragraph("", "", nodes.strong("", lead), nodes.Text(text))

    shown = nodes.paragraph("", "", raw(r"\bookevidence "), nodes.Text(f"Shown by {evidence}"))
    lines = 8 + len(says + found + evidence) // 95
    begin = raw(
        f"\n\\bookkeep{{{lines}}}"
        f"\\begin{{sphinxadmonition}}{{{BOXES[verdict]}}}{{{verdict.capitalize()}}}"
    )
    content = [
        paragraph("The paper says", f" ({place}): {says}"),
        paragraph("We find", f": {found}"),
        shown,
    ]
    return [begin, *content, raw("\n\\end{sphinxadmonition}\n")]


def end_proofs(doctree):
    """Set the proofs like other text, with a square at their end."""
    lead = "Proof. "
    for proof in list(doctree.findall(nodes.admonition)):
        if "proof" in proof["classes"]:
            text = next(proof.findall(nodes.Text))
            if text.startswith(lead):
                rest = nodes.Text(" " + text.removeprefix(lead))
                text.parent.replace(text, [nodes.emphasis("", lead.strip()), rest])
            begin, end = raw("\n\\begin{bookproof}\n"), raw("\n\\end{bookproof}\n")
            proof.replace_self([begin, *proof.children, end])


# -- Exercises and solutions


def refer_to_exercises(doctree):
    """Let exercises be found from elsewhere, and from their solutions, and these from them."""
    exercises = {e["label"] for e in doctree.findall(exercise_node)}
    exercises |= {e["label"] for e in doctree.findall(exercise_enumerable_node)}
    for reference in list(doctree.findall(addnodes.number_reference)):
        label = reference.get("refuri", "").partition("#")[2]
        if label in exercises:
            text = reference.astext()
            reference.replace_self(raw(rf"\hyperref[exercise:{label}]{{{text}}}"))
    labels = {}
    for solution in list(doctree.findall(solution_node)):
        labels[solution["target_label"]] = solution["label"]
        title, *content = solution.children
        words = [part for child in title.children for part in plain(child)]
        heading = nodes.paragraph("", "", raw(rf"\booksolution{{{solution['label']}}}{{"))
        heading += words
        heading += raw(rf"}}{{exercise:{solution['target_label']}}}")
        solution.replace_self(nodes.container("", heading, *content, classes=["book-solution"]))
    for kind in (exercise_node, exercise_enumerable_node):
        for exercise in list(doctree.findall(kind)):
            exercise.parent.insert(exercise.parent.index(exercise), raw("\n\\bookkeep{6}\n"))
            if label := labels.get(exercise["label"]):
                exercise += raw(f"\n\\bookseesolution{{solution:{label}}}\n")


def plain(node):
    """What a link holds, or the node itself."""
    return node.children if isinstance(node, nodes.reference) else [node]


def move_solutions(doctree):
    """Take the solutions out of the chapters, into a chapter at the end."""
    files = [file for file in doctree.findall(addnodes.start_of_file) if not holds_files(file)]
    last = files[-1]
    chapter = nodes.section(ids=["solutions"])
    chapter += nodes.title("", "Solutions")
    for file in files:
        solutions = [c for c in file.findall(nodes.container) if "book-solution" in c["classes"]]
        if solutions:
            section = nodes.section(ids=[f"solutions-{file['docname']}"])
            section += nodes.title("", heading_of(file))
            for solution in solutions:
                solution.parent.remove(solution)
                section += solution.children
            # Labels are known by the file that they are in, which stays the same.
            origin = addnodes.start_of_file(docname=file["docname"])
            origin += section
            chapter += origin
    end = addnodes.start_of_file(docname="solutions")
    end += [raw("\n\\bookafter\n"), chapter]
    last.parent.insert(last.parent.index(last) + 1, end)


def heading_of(file):
    """The title of a file, with the number of its chapter."""
    title = next(file.findall(nodes.title)).astext()
    number = CHAPTER.match(file["docname"])
    return f"Chapter {int(number[0][:2])}: {title}" if number else title


def holds_files(part):
    """Whether it is a part of the book, which holds the files of its chapters."""
    return any(node is not part for node in part.findall(addnodes.start_of_file))


# -- Tables


def fit_tables(doctree):
    """Give a table that is wider than the page columns that fit it, in smaller type."""
    for table in list(doctree.findall(nodes.table)):
        rows = [row.children for row in table.findall(nodes.row)]
        widths = columns([[entry_lengths(entry) for entry in row] for row in rows])
        if widths:
            for spec, width in zip(table.findall(nodes.colspec), widths, strict=True):
                spec["colwidth"] = width
            table["classes"] = [*table["classes"], "colwidths-given", "longtable"]
            place = table.parent.index(table)
            table.parent[place : place + 1] = [
                raw("\n\\begin{bookwidetable}\n"),
                table,
                raw("\n\\end{bookwidetable}\n"),
            ]


def entry_lengths(entry):
    """The letters of an entry of a table, and those of its longest word."""
    total = longest = 0
    for text in entry.findall(nodes.Text):
        factor = WIDTHS.get(type(text.parent), 1)
        whole = isinstance(text.parent, nodes.math)
        words = [text.astext()] if whole else BREAKS.split(text.astext())
        total += factor * len(text.astext())
        longest = max(longest, *(factor * len(word) for word in words))
    return total, longest


def columns(rows):
    """The widths of the columns of a table, in letters, or none if it fits the page as it is.

    Args:
        rows: for each row the pairs of `entry_lengths`, one for each column.

    Returns:
        A list of whole numbers. Each column gets its longest word; what remains is shared in
        proportion to what the columns lack to stand on one line, of which the square root is taken,
        because a long text does well on several lines.
    """
    natural = [max(total for total, _ in column) for column in zip(*rows, strict=True)]
    room = LINE - GAP * len(natural)
    if sum(natural) <= room:
        return []
    least = [2 + max(longest for _, longest in column) for column in zip(*rows, strict=True)]
    lacking = [max(n - w, 0) ** 0.5 for n, w in zip(natural, least, strict=True)]
    spare = max(room - sum(least), 0)
    return [round(w + spare * x / sum(lacking)) for w, x in zip(least, lacking, strict=True)]


# -- Bibliography


def sort_bibliography(citations, doctree):
    """Name each entry of the bibliography as the text cites it, sort, and keep one bibliography."""
    keys = {citation.citation_id: citation for citation in citations.citations}
    for listing in doctree.findall(thebibliography):
        entries = []
        for node in listing.children:
            entry = keys[node["ids"][0]].entry
            label = next(node.findall(nodes.label))
            label.children = [nodes.Text(cited_as(entry))]
            entries.append((sort_key(entry), node))
        listing.children = [node for _, node in sorted(entries, key=lambda pair: pair[0])]
    # Sphinx takes the entries to the end of the book and leaves the empty page where it was.
    for file in list(doctree.findall(addnodes.start_of_file)):
        if file["docname"] == "bibliography":
            file.parent.remove(file)


def family_names(entry):
    """The family names of the authors of an entry, with their particles."""
    people = entry.persons["author"]
    return [" ".join(map(str, p.rich_prelast_names + p.rich_last_names)) for p in people]


def cited_as(entry):
    """How the text cites an entry, such as "Mézard et al., 1987"."""
    names = family_names(entry)
    shown = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{shown}, {entry.fields['year']}"


def sort_key(entry):
    """By family names, then by year; capitals and accents do not count."""
    letters = [unicodedata.normalize("NFKD", name) for name in family_names(entry)]
    plain_names = ["".join(c for c in name if not unicodedata.combining(c)) for name in letters]
    return [name.lower() for name in plain_names], entry.fields["year"]


# -- Chapters


def number_chapters(doctree):
    """Number the chapters as the site does; the pages after them are appendices."""
    files = [file for file in doctree.findall(addnodes.start_of_file) if not holds_files(file)]
    kinds = [kind_of(file["docname"]) for file in files]
    for before, kind, file in zip([None, *kinds], kinds, files, strict=False):
        if kind != before:
            file.insert(0, raw(f"\n\\book{kind}\n"))
    first = next(doctree.findall(nodes.section))
    first.insert(1, raw("\n\\bookopening\n"))
    for header in list(first.findall(RootHeader)):
        header["level"] = 2  # all of them; the nesting is counted wrongly where they are made
        header.parent.insert(header.parent.index(header), raw("\n\\bookkeep{8}\n"))


def kind_of(docname):
    """Whether a page is a chapter, or stands before them, or after them as an appendix."""
    if CHAPTER.match(docname):
        return "chapters"
    return "before" if docname == "prerequisites" else "appendices"


# -- Index


def unify_hyphens(doctree):
    """Let a term with a hyphen have one entry in the index.

    LaTeX writes the command for a hyphen with a space after it where the term stands in the head of
    a list, and without elsewhere, which are two terms for makeindex. The sign U+2010 needs none.
    """
    for node in doctree.findall(addnodes.index):
        node["entries"] = [
            (kind, text.replace("-", "\u2010"), *rest) for kind, text, *rest in node["entries"]
        ]


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", prepare, priority=900)  # after sphinx-jupyterbook-latex
    app.connect("doctree-resolved", rewrite)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
