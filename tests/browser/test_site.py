"""The built site in a real browser: every page, as a reader on a desk and on a phone meets it."""

import re
from functools import cache
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import PAGES, SITE
from page_facts import MATH_DONE, visit

CHAPTERS = [name for name in PAGES if re.match(r"\d\d_", name)]
RAW_TEX = re.compile(r"\$[^$]+\$|\\[(\[]|\\(?:begin|end)\{|\\[a-zA-Z]{2,}|\{(?:eq|numref|cite)\}")


def each(names):
    """Parametrise over pages; all tests of a page go to one worker, which opens it once."""
    pages = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
    return pytest.mark.parametrize("name", pages)


every_page, every_chapter = each(PAGES), each(CHAPTERS)


@cache
def anchors(name):
    """The ids on a page of the site."""
    soup = BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")
    return {tag["id"] for tag in soup.find_all(id=True)}


def test_the_site_was_built_with_its_chapters():
    assert "index.html" in PAGES, "there is no site: run `make site` first"
    assert CHAPTERS, "the site has no chapter"


@every_page
def test_no_error_in_the_console(desk, name):
    assert desk.visit(name).console_errors == []


@every_page
def test_no_request_fails_or_leaves_the_site(desk, origin, name):
    seen = desk.visit(name)
    assert seen.failed_requests == []
    assert seen.requests
    assert [url for url in seen.requests if not url.startswith((origin, "data:", "blob:"))] == []


@every_page
def test_all_math_is_rendered(desk, name):
    facts = desk.visit(name).facts
    assert facts["math_errors"] == []
    assert facts["unrendered"] == []
    assert facts["rendered"] == facts["math"]


@every_chapter
def test_a_chapter_has_math(desk, name):
    assert desk.visit(name).facts["math"] > 0


@every_page
def test_no_source_shows_through(desk, name):
    text = desk.visit(name).facts["text"]
    assert RAW_TEX.findall(text) == []
    assert "(???)" not in text


@every_page
def test_links_inside_the_site_lead_somewhere(desk, origin, name):
    broken = []
    for url in desk.visit(name).facts["links"]:
        if not url.startswith(origin):
            assert urlsplit(url).scheme in ("http", "https"), url
            continue
        address, fragment = urldefrag(url)
        target = unquote(urlsplit(address).path).lstrip("/") or "index.html"
        found = (SITE / target).is_file()
        if found and fragment and target.endswith(".html"):
            found = unquote(fragment) in anchors(target)
        if not found:
            broken.append(url)
    assert broken == []


@every_chapter
def test_a_chapter_links_to_the_package(desk, origin, name):
    links = desk.visit(name).facts["links"]
    assert any(url.startswith(f"{origin}api/") and "#arnn." in url for url in links)


@every_page
def test_every_image_loads_and_says_what_it_shows(desk, name):
    for image in desk.visit(name).facts["images"]:
        assert image["width"] > 0, f"{image['source']} did not load"
        assert len(image["alt"].split()) >= 3, (
            f"{image['source']}: {image['alt']!r} describes nothing"
        )


@every_chapter
def test_a_chapter_has_a_figure(desk, name):
    assert desk.visit(name).facts["images"]


@every_page
def test_menu_opens_on_a_phone(plain_phone, origin, name):
    plain_phone.goto(origin + name, wait_until="domcontentloaded")
    entry = plain_phone.locator(".bd-links__item, .bd-links a").first
    assert not entry.is_visible()
    plain_phone.locator(".primary-toggle").first.click()
    entry.wait_for(state="visible")
    box = entry.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def require_opened_from_a_disk(seen):
    assert seen.console_errors == []
    assert seen.failed_requests == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@every_page
def test_page_opens_from_a_disk(plain_desktop, name):
    require_opened_from_a_disk(visit(plain_desktop, (SITE / name).as_uri()))


def test_math_is_drawn_from_a_disk(desktop):
    seen = visit(desktop, (SITE / CHAPTERS[0]).as_uri())
    require_opened_from_a_disk(seen)
    assert seen.facts["rendered"] == seen.facts["math"] > 0


def test_search_finds_curie(desktop, origin):
    desktop.goto(origin + "search.html")
    field = desktop.locator("input[name=q]:visible").first
    field.fill("Curie")
    field.press("Enter")
    desktop.locator("#search-results li a").first.wait_for()
    results = desktop.locator("#search-results li").all_inner_texts()
    assert any("Curie" in result for result in results), results


def preview(page, selector):
    """What appears when the pointer rests on the first link of its kind."""
    link = page.locator(selector).first
    link.scroll_into_view_if_needed()
    link.hover()
    tip = page.locator(".tippy-content")
    tip.wait_for()
    return tip


@pytest.mark.parametrize("name", ["02_the_h2_arnn.html"])
def test_a_term_and_an_equation_show_under_the_pointer_what_they_lead_to(desktop, origin, name):
    desktop.goto(origin + name, wait_until="load")
    desktop.evaluate(MATH_DONE)
    term = preview(desktop, 'article a.reference[href*="#term-Kullback"]')
    assert "zero only for" in term.inner_text()
    term.locator("mjx-container").first.wait_for()
    desktop.mouse.move(0, 0)
    term.wait_for(state="detached")
    equation = preview(desktop, 'article a.reference[href^="#equation-paper-eq-"]')
    equation.locator("mjx-container").first.wait_for()


def test_the_index_leads_from_a_word_to_its_chapters(desktop, origin):
    desktop.goto(origin + "index.html")
    link = desktop.locator(".bd-sidebar-primary a", has_text="Index").last
    assert link.get_attribute("href") == "genindex.html"
    desktop.goto(origin + "genindex.html")
    row = desktop.locator("li", has=desktop.locator("a", has_text="partition function")).last
    assert row.locator('a[href^="01_"]').count() == 1
    assert row.locator('a[href^="notation.html#term-"]').count() == 1


@every_chapter
def test_theme_switches_between_light_and_dark(plain_desktop, origin, name):
    plain_desktop.goto(origin + name, wait_until="domcontentloaded")
    seen = {}
    for _ in range(3):
        plain_desktop.locator(".theme-switch-button:visible").first.click()
        theme = plain_desktop.evaluate("document.documentElement.dataset.theme")
        seen[theme] = plain_desktop.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen.keys() == {"light", "dark"}
    assert seen["light"] != seen["dark"]


@every_chapter
def test_notebook_can_be_downloaded(plain_desktop, origin, name):
    plain_desktop.goto(origin + name, wait_until="domcontentloaded")
    link = plain_desktop.locator("a.btn-download-source-button").first.get_attribute("href")
    assert link.endswith(name.replace(".html", ".ipynb"))
    response = plain_desktop.request.get(origin + link)
    assert response.ok
    nbformat.validate(nbformat.reads(response.text(), as_version=4))


@every_chapter
def test_solutions_are_folded_and_open_on_a_click(plain_desktop, origin, name):
    plain_desktop.goto(origin + name, wait_until="domcontentloaded")
    solutions = plain_desktop.locator(".solution.dropdown")
    assert solutions.count() > 0
    for solution in solutions.all():
        content = solution.locator("section").first
        assert not content.is_visible()
        solution.locator(".toggle-button").click()
        content.wait_for(state="visible")
