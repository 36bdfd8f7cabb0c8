"""axe-core on every page: on a desk with all its rules, on a phone, and in dark colours.

Violations of impact "serious" or "critical" fail. Each rule runs wherever it can find something
new: a phone has the colours of a desk, so there all rules but that of contrast are run, which
takes half of the time; the dark page is the light one in other colours, so there only that one is.
"""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import PAGES
from page_facts import MATH_DONE

FAILING = {"serious", "critical"}
SLOW = 180_000  # ms: axe-core looks at some ten thousand elements of a long chapter
EVERYTHING = {"resultTypes": ["violations"]}
COLOURS = {**EVERYTHING, "runOnly": ["color-contrast"]}
LAYOUT = {**EVERYTHING, "rules": {"color-contrast": {"enabled": False}}}

# What is folded is looked at too: solutions, and the code of figures.
UNFOLD = """() => {
  const folds = "main details:not([open]) > summary, main .toggle-button";
  for (const fold of document.querySelectorAll(folds)) fold.click();
  return new Promise(done => setTimeout(done, 500));  // the theme waits before it looks
}"""
FIGURES = """() => [...document.querySelectorAll("main figure img")].map(image => ({
  source: image.src, scale: image.getBoundingClientRect().width / image.naturalWidth}))"""
LETTERS = 11 * 100 / 72  # pixels: the size of a figure's letters as drawn, arnn.figures.use_style

every_page = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PAGES]
)


def violations(page, url, scheme, options):
    """What axe-core has against a page, one readable line an element."""
    page.set_default_timeout(SLOW)
    page.emulate_media(color_scheme=scheme)
    page.goto(url)
    page.evaluate(MATH_DONE)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps(node['target'])}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in FAILING
        for node in rule["nodes"]
    ]


@every_page
def test_no_serious_issue_on_a_desk(desktop, origin, name):
    assert violations(desktop, origin + name, "light", EVERYTHING) == []


@every_page
def test_no_serious_issue_on_a_phone(phone, origin, name):
    assert violations(phone, origin + name, "light", LAYOUT) == []


@every_page
def test_no_colour_is_hard_to_read_in_the_dark(desktop, origin, name):
    assert violations(desktop, origin + name, "dark", COLOURS) == []


@every_page
def test_letters_of_figures_are_legible_on_a_phone(phone, origin, name):
    phone.goto(origin + name)
    phone.evaluate(UNFOLD)
    for figure in phone.evaluate(FIGURES):
        assert figure["scale"] * LETTERS >= 9, figure["source"]


def test_the_rules_find_what_is_wrong(desktop):
    """A page with one fault of each kind that the tests above are to find."""
    desktop.set_content(
        "<html lang=en><title>A</title><main><h1>B</h1><p style='color:#bbb'>pale</p>"
        "<img src='data:,'></main></html>"
    )
    found = {rule["id"] for rule in Axe().run(desktop).response["violations"]}
    assert {"color-contrast", "image-alt"} <= found
