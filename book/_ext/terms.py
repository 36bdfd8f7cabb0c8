"""The words of the glossary in the chapters: the first use of each links to its definition.

The links are made here and not written in the chapters, so that a word which joins the glossary is
linked everywhere at once. The same places go into the index, one line for each chapter, and the
index into the contents.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

CHAPTER = re.compile(r"(\d\d)_|prerequisites$")
# Where a word stands for itself, or is a link already.
NOT_HERE = (
    nodes.reference,
    nodes.literal,
    nodes.math,
    nodes.title,
    nodes.raw,
    addnodes.pending_xref,
)


def glossary_terms(page):
    """The terms of the {glossary} directive of a MyST page, in its order."""
    block = re.search(r"^```\{glossary\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return re.findall(r"^(\S.*?)\s*$", block[1], flags=re.M)


def pattern_of(terms):
    """A pattern for any of the terms, the longest first, in the singular or with an s.

    Capitals do not count, except for a name that is all capitals: MADE is not "made".
    """
    longest_first = sorted(terms, key=len, reverse=True)
    words = [re.escape(term).replace(r"\ ", r"\s+") for term in longest_first]
    either = "|".join(word if word.isupper() else f"(?i:{word})" for word in words)
    return re.compile(rf"(?<![\w-])(?<!for )({either})(?:e?s)?(?![\w-])")


class LinkTerms(SphinxTransform):
    """Turn the first use of each term in a chapter into a link, with an entry of the index."""

    default_priority = 760

    def apply(self):
        """Go through the paragraphs of the page in their order."""
        match = CHAPTER.match(self.env.docname)
        if not match:
            return
        title = self.document.next_node(nodes.title).astext()
        # Two blanks sort Chapter 2 before Chapter 10 and show as one.
        place = f"Chapter {int(match[1]):>2}: {title}" if match[1] else title
        terms = {term.lower(): term for term in self.app.glossary_terms}
        pattern = pattern_of(terms.values())
        for paragraph in list(self.document.findall(nodes.paragraph)):
            for text in list(paragraph.findall(nodes.Text)):
                if not self._stands_for_itself(text):
                    self._link(text, terms, pattern, place)

    @staticmethod
    def _stands_for_itself(text):
        node = text.parent
        while node is not None:
            if isinstance(node, NOT_HERE):
                return True
            node = node.parent
        return False

    def _link(self, text, terms, pattern, place):
        """Replace a text by itself with links; a term that is linked leaves `terms`."""
        words, parts, done = text.astext(), [], 0
        for match in pattern.finditer(words):
            term = terms.pop(" ".join(match[1].lower().split()), None)
            if term is not None:
                parts.append(nodes.Text(words[done : match.start()]))
                parts += self._linked(term, match[0], place)
                done = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(words[done:])])

    def _linked(self, term, words, place):
        anchor = nodes.make_id(f"use of {term}")
        entry = ("single", f"{term}; {place}", anchor, "", None)
        link = addnodes.pending_xref(
            "", refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True
        )
        link += nodes.inline(words, words, classes=["xref", "std", "std-term"])
        return addnodes.index(entries=[entry]), nodes.target("", "", ids=[anchor]), link


class ListIndex(SphinxTransform):
    """Put the index, which is made by Sphinx and has no file, at the end of the contents."""

    default_priority = 110  # right after sphinx-external-toc has made the contents

    def apply(self):
        """Add the entry to the last part of the contents, which stand in the root page."""
        if self.env.docname == self.config.root_doc:
            *_, last = self.document.findall(addnodes.toctree)
            last["entries"].append(("Index", "genindex"))


def read_glossary(app):
    """Remember the terms; the pages are read in any order, and most before the glossary."""
    app.glossary_terms = glossary_terms(Path(app.srcdir, "notation.md"))


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", read_glossary)
    app.add_transform(LinkTerms)
    app.add_transform(ListIndex)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
