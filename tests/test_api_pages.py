"""The pages of the package: every public name is on one, and its docstring says what it must."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import arnn

PAGES = Path(__file__).resolve().parent.parent / "book" / "api"
CONTENTS = PAGES.parent / "_toc.yml"
# A shape such as (n,) or (batch, n), or the kind or unit of a value.
SHAPE = (
    r"\([\w^+-]+(?:,|(?:, [\w^+-]+)+)\)|\b(?:float(?:64)?|scalars?|tensors?|dict|units|per spin)\b"
)
# An equation or section of the paper, a citation, or another name that says it.
SOURCE = r"\b(?:Paper|SI|paper's|(?:19|20)\d\d)\b|`[\w.]+`"
# They show or store what others compute, and have neither shape nor source.
NO_PHYSICS = ("arnn.checks.", "arnn.figures.", "arnn.runs.", "arnn.problems.")


def modules():
    return {n: import_module(f"arnn.{n}") for n in arnn._MODULES}


def offered(module):
    """The public functions and classes of a module: its list, or what it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]
    things = {name: getattr(module, name) for name in names}
    return {n: t for n, t in things.items() if inspect.isfunction(t) or inspect.isclass(t)}


def public():
    """Full name -> object, of all that arnn and its public modules offer."""
    found = {f"arnn.{n}": getattr(arnn, n) for n in arnn.__all__ if n not in arnn._MODULES}
    for name, module in modules().items():
        found |= {f"arnn.{name}.{n}": thing for n, thing in offered(module).items()}
    return found


PUBLIC = public()
each_name = pytest.mark.parametrize("name", PUBLIC)


def described():
    """What the directives of the pages describe, by its full name."""
    found = {}
    for page in PAGES.glob("*.md"):
        text = page.read_text()
        for name in re.findall(r"\.\. auto(?:class|function):: (\S+)", text):
            full = name if name.startswith("arnn.") else f"arnn.{name}"
            found[full] = page.name
        for name, options in re.findall(r"\.\. automodule:: arnn\.(\w+)\n((?:   :.*\n)*)", text):
            assert ":members:" in options
            left_out = re.search(r":exclude-members: (.*)", options)
            left_out = left_out[1].split(", ") if left_out else []
            module = modules()[name]
            for short, thing in offered(module).items():
                elsewhere = thing.__module__ != module.__name__
                if short not in left_out and (not elsewhere or ":imported-members:" in options):
                    found[f"arnn.{name}.{short}"] = page.name
    return found


def test_every_public_object_is_described():
    shown = described()
    objects = {id(PUBLIC[name]) for name in shown if name in PUBLIC}
    assert {name for name, thing in PUBLIC.items() if id(thing) not in objects} == set()


def test_every_page_of_the_package_is_in_the_contents():
    contents = CONTENTS.read_text()
    assert [p.stem for p in PAGES.glob("*.md") if f"file: api/{p.stem}\n" not in contents] == []


@each_name
def test_docstring_says_what_it_is(name):
    first = (inspect.getdoc(PUBLIC[name]) or "").split("\n", 1)[0]
    assert len(first.split()) >= 4
    assert first.endswith((".", ":"))


@each_name
def test_docstring_states_shapes_or_units_and_its_source(name):
    if name.startswith(NO_PHYSICS):
        return
    thing = PUBLIC[name]
    text = inspect.getsource(thing) if inspect.isclass(thing) else inspect.getdoc(thing)
    assert re.search(SHAPE, text) or re.search(SOURCE, text), text


def written_constructor(cls):
    """What a class does to its arguments, None if Python wrote it."""
    made = hasattr(cls, "__dataclass_fields__")
    return vars(cls).get("__post_init__") or (None if made else vars(cls).get("__init__"))


@each_name
def test_docstring_names_the_errors_that_its_code_raises(name):
    thing = PUBLIC[name]
    code = thing if inspect.isfunction(thing) else written_constructor(thing)
    if code is None:
        return
    source = inspect.getsource(code).replace(inspect.getdoc(code) or "\0", "")
    checks = re.search(r"^ +raise |\bas_(?:count|positive|finite)\(", source, flags=re.M)
    text = inspect.getdoc(thing)
    assert not checks or re.search(r"Raises:|[Ee]rrors .*as|errors are|[Rr]aise an? \w+Error", text)
