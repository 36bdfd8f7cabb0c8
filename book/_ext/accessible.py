"""What the pages need besides the theme to be read by everyone: legible figures, and right roles.

Each picture gets the width that it was drawn for. Sphinx then makes it a link to itself, which a
keyboard can reach; on a phone, custom.css lets the link scroll where shrinking the picture to the
width of the screen would make its letters too small.
"""

from pathlib import Path

import imagesize
from docutils import nodes

# Pictures up to these widths, in pixels, shrink to a phone's screen, or to the width that
# custom.css has for their class.
CLASSES = [(560, "figure-narrow"), (940, "figure-wide"), (float("inf"), "figure-widest")]


def size_pictures(app, doctree, _):
    """Set the width and the class of every picture of a page from its file."""
    if app.builder.format != "html":
        return
    for image in doctree.findall(nodes.image):
        path = Path(app.srcdir, image["uri"])
        width = imagesize.get(path)[0] if path.is_file() else 0
        if width > 0:
            image["width"] = f"{width}px"
            image["classes"].append(next(name for limit, name in CLASSES if width <= limit))


def mend_roles(app, pagename, templatename, context, doctree):
    """Make the entries of a list of references its items; docutils gives them a deprecated role."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", mend_roles)
    app.connect("doctree-resolved", size_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
