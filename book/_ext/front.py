"""The figure of the front page, taken from the stored output of the notebook that draws it.

A copy in the repository would go stale, so there is none: each build writes the picture anew.
"""

import base64
from pathlib import Path

import nbformat

NOTEBOOK, PICTURE = "front.ipynb", "_static/front.png"


def picture(notebook):
    """The bytes of the one picture that an executed notebook shows."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    (shown,) = (o.data["image/png"] for o in outputs if "image/png" in o.get("data", {}))
    return base64.b64decode(shown)


def write_picture(app):
    """Put it where the front page looks for it."""
    target, wanted = Path(app.srcdir, PICTURE), picture(Path(app.srcdir, NOTEBOOK))
    if not target.exists() or target.read_bytes() != wanted:
        target.write_bytes(wanted)


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", write_picture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
