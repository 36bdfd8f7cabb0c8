"""Scripts from the site itself, so that a page asks nothing of the network.

The package sphinx-mathjax-offline carries all of MathJax, 24 MB. The pages need 3 MB of it, so its
files are copied here instead of by the extension of the same name. The two scripts that
sphinx-tippy would load from the network lie in the folder vendor, with their licences; Jupyter Book
puts every script that it finds in _static into every page, so they can't lie there.
"""

import importlib.metadata
from pathlib import Path

from sphinx.util.fileutil import copy_asset

NEEDED = ["tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2"]


def mathjax_folder():
    """The folder of MathJax in the installed package, whose name is no Python identifier."""
    files = importlib.metadata.files("sphinx-mathjax-offline")
    script = next(file for file in files if file.match("mathjax/tex-chtml.js"))
    return Path(script.locate()).parent


def copy_scripts(app):
    """Copy what the pages need of MathJax, and the scripts in vendor, into the built site."""
    if app.builder.format != "html":
        return
    copy_asset(str(Path(__file__).parent / "vendor"), str(Path(app.outdir, "_static", "vendor")))
    target = Path(app.outdir, "_static", "mathjax")
    for name in NEEDED:
        source = mathjax_folder() / name
        folder = (target / name).parent if source.is_file() else target / name
        copy_asset(str(source), str(folder))


def setup(app):
    """Register with Sphinx."""
    app.connect("builder-inited", copy_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
