"""A real browser, and the built site served to it from this machine."""

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest
from page_facts import NO_MATHJAX, visit
from playwright.sync_api import sync_playwright

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
# By their addresses in the site, but for what is no page: the theme's templates of its own.
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.relative_to(SITE).parts
)
SLOW = 180_000  # ms: axe-core looks at some ten thousand elements of a long chapter
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def origin():
    """Where the built site is served, on a free port."""
    handler = functools.partial(QuietHandler, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, the one browser that every machine here can have."""
    if not CHROMIUM.exists():
        pytest.fail(
            f"There is no browser at {CHROMIUM}. Install Debian's package chromium, or set "
            "CHROMIUM to the path of a Chromium or Chrome.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # The last one for containers, whose shared memory is too small for a browser.
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def _desktop(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture(scope="session")
def _phone(browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context
    context.close()


class Window:
    """One page at a time, open until another is asked for, and what each showed when it opened.

    The tests of a page follow each other on one worker, so that each page is opened once.
    """

    def __init__(self, context, origin):
        self.context, self.origin = context, origin
        self.name, self.page, self.visits = None, None, {}

    def open(self, name):
        """The page of that name, its math drawn."""
        if name != self.name:
            if self.page:
                self.page.close()
            self.name, self.page = name, self.context.new_page()
            self.page.set_default_timeout(SLOW)
            self.visits[name] = visit(self.page, self.origin + name)
        return self.page

    def visit(self, name):
        """The `Visit` of the page of that name."""
        if name not in self.visits:
            self.open(name)
        return self.visits[name]


@pytest.fixture(scope="session")
def desk(_desktop, origin):
    """Pages on a large screen."""
    return Window(_desktop, origin)


@pytest.fixture(scope="session")
def hand(_phone, origin):
    """Pages on a phone."""
    return Window(_phone, origin)


@pytest.fixture
def desktop(_desktop):
    """A fresh tab on a large screen."""
    page = _desktop.new_page()
    yield page
    page.close()


@pytest.fixture
def phone(_phone):
    """A fresh tab on a phone."""
    page = _phone.new_page()
    yield page
    page.close()


def without_math(page):
    """The tab, where formulas stay as they are written: most of a chapter's time is theirs."""
    page.route("**/tex-*.js*", lambda route: route.fulfill(body=NO_MATHJAX))
    return page


@pytest.fixture
def plain_desktop(desktop):
    """A fresh tab on a large screen, for what has nothing to do with formulas."""
    return without_math(desktop)


@pytest.fixture
def plain_phone(phone):
    """A fresh tab on a phone, for what has nothing to do with formulas."""
    return without_math(phone)
