"""Pages of the package from its docstrings, and links to them from the code of every page.

A docstring is plain text with names in backticks, so nothing else in it is markup. Inline code and
code cells that name a public object, in full or as the page imported it, link to its description.
"""

import ast
import html
import inspect
import re
from functools import reduce
from importlib import import_module

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

NAME = re.compile(r"([A-Za-z_][\w.]*)(?:\(.*\))?", flags=re.DOTALL)
LANGUAGES = {"python", "ipython", "ipython3"}
CODE = re.compile(r'(?<=<div class="highlight-ipython3 notranslate">).*?</pre>', flags=re.DOTALL)
# A dotted name as Pygments writes it, but for the name of an argument.
CHAIN = re.compile(
    r'<span class="n">\w+</span>(?:<span class="o">\.</span><span class="n">\w+</span>)*'
    r'(?!<span class="o">=</span>)'
)


def describe_fields(app, what, name, obj, options, lines):
    """Add the fields of a result to the docstring of its class, from the comments beside them."""
    if what != "class" or not (hasattr(obj, "_fields") or hasattr(obj, "__dataclass_fields__")):
        return
    source = inspect.getsource(obj)
    if lines[-1:] != [""]:
        lines.append("")
    lines.append("Attributes:")
    for field in getattr(obj, "_fields", None) or obj.__dataclass_fields__:
        said = re.search(rf"^    {field}: ([^=#\n]+?)(?: = .*?)?(?:  # (.*))?$", source, flags=re.M)
        kind, comment = said.groups() if said else ("", None)
        kind = kind.replace("np.ndarray", "array").replace("torch.Tensor", "tensor")
        lines.append(f"    {field}: {'; '.join(filter(None, [kind, comment]))}")
    lines.append("")


def skip_fields(app, what, name, obj, skip, options):
    """Leave out what `describe_fields` describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def escape(app, what, name, obj, options, lines):
    """Escape what reStructuredText would take for markup, outside of backticks."""
    for i, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [re.sub(r"[|*]|_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "`".join(parts)


def imported(document):
    """What the code of a page imports from the package: name on the page -> full name."""
    names = {"arnn": "arnn"}
    for block in document.findall(nodes.literal_block):
        if block.get("language") not in LANGUAGES:
            continue
        for node in ast.walk(parsed(block.astext())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "arnn":
                for name in node.names:
                    names[name.asname or name.name] = f"{node.module}.{name.name}"
    return names


def parsed(source):
    """The syntax tree of some code; of what is no Python, such as a console, an empty one."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def described(name, names, objects):
    """The full name of the description of what a page calls `name`, or None."""
    first, _, rest = name.partition(".")
    full = f"{names.get(first, first)}.{rest}".rstrip(".")
    if first not in names:
        full = f"arnn.{full}"
    if full in objects:
        return full
    try:  # described where it is defined, or a network that is named without its module
        thing = reduce(getattr, full.split(".")[1:], import_module("arnn"))
        full = f"{thing.__module__}.{thing.__qualname__}"
    except AttributeError:
        full = f"arnn.nets.{name}"
    return full if full in objects else None


class LinkInlineCode(SphinxPostTransform):
    """Turn inline code that names an object of the package into a link to its description."""

    default_priority = 5

    def run(self, **kwargs):
        """Link every literal of the page that names something and is no link yet."""
        objects, names = self.env.get_domain("py").objects, imported(self.document)
        for literal in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(literal.astext())
            target = match and (
                described(match[1], names, objects) or beside(literal, match[1], objects)
            )
            if target and not in_a_link_or_heading(literal):
                link = addnodes.pending_xref(
                    "", refdomain="py", reftype="obj", reftarget=target, refexplicit=True
                )
                literal.replace_self(link)
                link += literal


def beside(node, name, objects):
    """The full name of what a docstring names without its module, which is the docstring's own."""
    while node := node.parent:
        if isinstance(node, addnodes.desc):
            full = f"{node[0].get('module')}.{name}"
            return full if full in objects else None
    return None


def in_a_link_or_heading(node):
    """Whether a node is inside of a link, a title or a signature."""
    inside = (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature)
    while node := node.parent:
        if isinstance(node, inside):
            return True
    return False


def link_code_cells(app, pagename, templatename, context, doctree):
    """Link the names in the code cells of a page of the site, each once in a cell."""
    if doctree is None or "body" not in context:
        return
    objects, names = app.env.get_domain("py").objects, imported(doctree)
    linked = set()

    def link(match):
        spans = match[0]
        name = re.sub("<[^>]*>", "", spans)
        full = described(name, names, objects) if name.partition(".")[0] in names else None
        if full is None or full in linked:
            return spans
        linked.add(full)
        entry = objects[full]
        page = app.builder.get_relative_uri(pagename, entry.docname)
        address = html.escape(f"{page}#{entry.node_id}")
        return f'<a class="api-link" href="{address}" title="{full}">{spans}</a>'

    def link_cell(code):
        linked.clear()
        return CHAIN.sub(link, code[0])

    context["body"] = CODE.sub(link_cell, context["body"])


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", describe_fields, priority=300)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("html-page-context", link_code_cells)
    app.add_post_transform(LinkInlineCode)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
