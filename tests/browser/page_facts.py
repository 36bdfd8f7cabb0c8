"""What a page in a browser shows, as plain values that tests can compare."""

from dataclasses import dataclass, field

MATH_DONE = "window.MathJax ? MathJax.startup.promise.then(() => true) : true"
NO_MATHJAX = "window.MathJax = {startup: {promise: Promise.resolve()}};"

FACTS = r"""() => {
  const count = selector => document.querySelectorAll(selector).length;
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const notProse = "code, pre, script, style, textarea, noscript, mjx-container";
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest(notProse)) words.push(node.data);
  }
  const formulas = [...document.querySelectorAll(".math")];
  return {
    math: formulas.filter(node => !node.querySelector(".math")).length,
    unrendered: formulas.filter(node => !node.querySelector("mjx-container"))
      .map(node => node.textContent),
    rendered: count("mjx-container"),
    math_errors: [...document.querySelectorAll("mjx-merror")].map(
      node => node.getAttribute("data-mjx-error") || node.textContent),
    text: words.join(" "),
    links: [...document.querySelectorAll("a[href]")].map(link => link.href),
    images: [...document.querySelectorAll("main img")].map(
      image => ({source: image.src, alt: image.alt, width: image.naturalWidth})),
  };
}"""

# What sticks out to the right of the window without a box of its own that scrolls.
STICKING_OUT = r"""() => {
  const scrolls = node => {
    for (let box = node.parentElement; box && box !== document.body; box = box.parentElement)
      if (getComputedStyle(box).overflowX !== "visible") return true;
    return false;
  };
  const end = node => node.getBoundingClientRect().left + node.scrollWidth;
  const wide = [...document.querySelectorAll("main *")].filter(
    node => end(node) > innerWidth + 0.5 && !scrolls(node));
  return wide.slice(-5).map(node => node.outerHTML.slice(0, 200));
}"""


@dataclass
class Visit:
    """One page as a browser met it."""

    url: str
    console_errors: list = field(default_factory=list)
    failed_requests: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)

    def note_response(self, response):
        if response.status >= 400:
            self.failed_requests.append(f"{response.status} {response.url}")

    def note_console(self, message):
        if message.type in ("error", "warning"):
            self.console_errors.append(message.text)


def visit(page, url):
    """Open ``url``, wait for its math, and return what happened and what the page shows."""
    seen = Visit(url)
    listeners = {
        "console": seen.note_console,
        "pageerror": lambda error: seen.console_errors.append(str(error)),
        "request": lambda request: seen.requests.append(request.url),
        "requestfailed": lambda request: seen.failed_requests.append(request.url),
        "response": seen.note_response,
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(url, wait_until="load")
    page.evaluate(MATH_DONE)
    page.wait_for_load_state("networkidle")
    seen.facts = page.evaluate(FACTS)
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return seen
