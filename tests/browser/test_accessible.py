"""axe-core on every page: on a desk with all its rules, in dark colours, and on a phone.

Violations of impact "serious" or "critical" fail. Each rule runs wherever it can find something
new: the dark page is the light one in other colours, so there only contrast is looked at; a phone
has the colours and the order of a desk, so there all rules run that look at neither. Each page is
read once on a desk and once on a phone, and the tests want one thing each of what was read.
"""

import functools
import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import PAGES
from page_facts import STICKING_OUT

FAILING = {"serious", "critical"}
EVERYTHING = {"resultTypes": ["violations"]}
COLOURS = {**EVERYTHING, "runOnly": ["color-contrast"]}
OF_COLOUR_OR_ORDER = ("color-contrast", "link-in-text-block", "heading-order", "region", "bypass")
LAYOUT = {**EVERYTHING, "rules": {rule: {"enabled": False} for rule in OF_COLOUR_OR_ORDER}}

# What is folded is looked at too: solutions, and the code of figures.
UNFOLD = """() => {
  const folds = "main details:not([open]) > summary, main .toggle-button";
  for (const fold of document.querySelectorAll(folds)) fold.click();
  return new Promise(done => setTimeout(done, 500));  // the theme waits before it looks
}"""
# The colours of code are those of a few kinds of words, repeated some thousand times a chapter, and
# a formula in a line has the colour of the words around it. Of each kind, in each surrounding, the
# first stays as it is, and the others become plain text.
ONE_OF_EACH = """() => {
  const seen = new Set();
  const known = nodes => {
    const kind = nodes.map(node => `${node?.tagName} ${node?.className}`).join("|");
    return seen.has(kind) || !seen.add(kind);
  };
  for (const word of document.querySelectorAll(".highlight pre span")) {
    const around = word.closest(".highlight").parentElement;
    const box = around.closest(".cell_input, .cell_output, .admonition");
    if (known([word, around, box])) word.replaceWith(...word.childNodes);
  }
  for (const formula of document.querySelectorAll("mjx-container:not([display])")) {
    const around = formula.parentElement.closest("p, li, dd, td, th, a, em, strong, h1, h2, h3");
    const box = formula.closest("nav, figcaption, .cell_output, .admonition");
    if (known([formula, around, box])) formula.replaceWith("x");
  }
}"""
FIGURES = """() => [...document.querySelectorAll("main figure img")].map(image => ({
  source: image.src, scale: image.getBoundingClientRect().width / image.naturalWidth}))"""
AT_ONCE = "* { transition: none !important }"  # no colour between light and dark is judged
WIDTH = "document.documentElement.scrollWidth"
LETTERS = 11 * 100 / 72  # pixels: the size of a figure's letters as drawn, arnn.figures.use_style

every_page = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PAGES]
)


def violations(page, options):
    """What axe-core has against the page that is open, one readable line an element."""
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps(node['target'])}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in FAILING
        for node in rule["nodes"]
    ]


def read_desk(page):
    """The violations of the page that is open, in light colours and in dark ones."""
    found = {}
    page.add_style_tag(content=AT_ONCE)
    page.evaluate(UNFOLD)
    page.evaluate(ONE_OF_EACH)
    for scheme, options in (("light", EVERYTHING), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
        found[scheme] = violations(page, options)
    return found


def read_phone(page):
    """What sticks out of the window, folded and unfolded; the figures; the violations."""
    found = {"width": page.evaluate(WIDTH), "sticking_out": page.evaluate(STICKING_OUT)}
    page.evaluate(UNFOLD)
    found["width_unfolded"] = page.evaluate(WIDTH)
    found["sticking_out_unfolded"] = page.evaluate(STICKING_OUT)
    found["figures"] = page.evaluate(FIGURES)
    page.evaluate(ONE_OF_EACH)
    return found | {"violations": violations(page, LAYOUT)}


@pytest.fixture(scope="session")
def on_desk(desk):
    """What `read_desk` finds on a page of the site, by its name."""
    return functools.cache(lambda name: read_desk(desk.open(name)))


@pytest.fixture(scope="session")
def on_phone(hand):
    """What `read_phone` finds on a page of the site, by its name."""
    return functools.cache(lambda name: read_phone(hand.open(name)))


@every_page
def test_no_serious_issue_on_a_desk(on_desk, name):
    assert on_desk(name)["light"] == []


@every_page
def test_no_colour_is_hard_to_read_in_the_dark(on_desk, name):
    assert on_desk(name)["dark"] == []


@every_page
def test_no_serious_issue_on_a_phone(on_phone, name):
    assert on_phone(name)["violations"] == []


@every_page
def test_phone_screen_does_not_scroll_sideways(on_phone, name):
    seen = on_phone(name)
    assert seen["width"] <= 390, seen["sticking_out"]
    assert seen["width_unfolded"] <= 390, seen["sticking_out_unfolded"]


@every_page
def test_letters_of_figures_are_legible_on_a_phone(on_phone, name):
    for figure in on_phone(name)["figures"]:
        assert figure["scale"] * LETTERS >= 9, figure["source"]


def test_the_rules_find_what_is_wrong(desktop):
    """A page with one fault of each kind that the tests above are to find, and some twice."""
    word = "<span class=k style='color:#bbb'>if</span>"
    formula = "<mjx-container style='color:#bbb'>energy</mjx-container>"
    desktop.set_content(
        "<html lang=en><title>A</title><main><h1>B</h1><p style='color:#bbb'>pale</p>"
        f"<img src='data:,'><p>{formula} or {formula}</p>"
        f"<div><div class=highlight><pre>{word} a {word} b</pre></div></div></main>"
    )
    desktop.evaluate(ONE_OF_EACH)
    found = violations(desktop, EVERYTHING)
    assert any(line.startswith("image-alt") for line in found)
    pale = [line for line in found if line.startswith("color-contrast")]
    assert len(pale) == 3, "the paragraph, one of two equal words of code, and one formula"
