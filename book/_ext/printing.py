"""The printed book: its solutions stand at the end."""

from docutils import nodes
from sphinx import addnodes
from sphinx_exercise.nodes import solution_node


def move_solutions(app, doctree, _):
    """Take the solutions out of the chapters of the printed book, into a chapter at its end."""
    if app.builder.name != "latex":
        return
    files = [file for file in doctree.findall(addnodes.start_of_file) if not holds_files(file)]
    last = files[-1]
    chapter = nodes.section(ids=["solutions"])
    chapter += nodes.title("", "Solutions")
    for file in files:
        solutions = list(file.findall(solution_node))
        if solutions:
            title = next(file.findall(nodes.title)).astext()
            section = nodes.section(ids=[f"solutions-{file['docname']}"])
            section += nodes.title("", title)
            for solution in solutions:
                solution.parent.remove(solution)
                section += solution
            # Labels are known by the file that they are in, which stays the same.
            origin = addnodes.start_of_file(docname=file["docname"])
            origin += section
            chapter += origin
    end = addnodes.start_of_file(docname="solutions")
    end += chapter
    last.parent.insert(last.parent.index(last) + 1, end)


def holds_files(part):
    """Whether it is a part of the book, which holds the files of its chapters."""
    return any(node is not part for node in part.findall(addnodes.start_of_file))


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", move_solutions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
