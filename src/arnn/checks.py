"""What a chapter shows the reader besides figures: checks that raise, verdicts, and library source.

Everything printed is rounded, so that a chapter executed twice, or on another processor, stores
the same text.
"""

import html
import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

VERDICTS = ("reproduced", "reproduced with a correction", "partly", "not reproduced")


class CheckFailed(AssertionError):
    """A check in a chapter did not hold."""


def check(name, value, expected=0.0, *, within, show=None):
    """Compare a number with what it should be; print one line, or raise.

    Args:
        name: what is compared, in words.
        value, expected: real numbers or arrays; of arrays the largest deviation counts.
        within: the largest allowed |value - expected|.
        show: how to print the value, a format such as ".4f"; a value that is a rounding error or
            a random number is better left out (None).

    Raises:
        CheckFailed: the deviation is larger than `within`, or not a number.
    """
    deviation = _largest_deviation(value, expected)
    if not deviation <= within:
        raise CheckFailed(f"{name}: |value - expected| = {deviation:.3g}, allowed {within:.3g}")
    shown = "" if show is None else f"{float(value):{show}}, "
    print(f"✓ {name}: {shown}within {within:.2g} of the expected value")


def check_sigmas(name, value, error, expected, *, sigmas=4):
    """Compare an estimate that has a standard error with what it should be; print, or raise.

    The printed line leaves the random numbers out.

    Raises:
        CheckFailed: the estimate is more than `sigmas` standard errors away, or its error is not
            positive.
    """
    if not error > 0:
        raise CheckFailed(f"{name}: the standard error must be positive, not {error!r}")
    distance = abs(float(value) - float(expected)) / float(error)
    if not distance <= sigmas:
        raise CheckFailed(f"{name}: {distance:.1f} standard errors from the expected value")
    print(f"✓ {name}: within {sigmas} standard errors of the expected value")


def check_that(name, holds):
    """Print one line for a statement that holds, or raise.

    Raises:
        CheckFailed: it does not hold.
    """
    if not bool(holds):
        raise CheckFailed(f"{name}: does not hold")
    print(f"✓ {name}")


def _largest_deviation(value, expected):
    difference = value - expected
    deviation = abs(difference)
    return float(deviation.max()) if hasattr(deviation, "max") else float(deviation)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper beside what was found; shown in a chapter as a box.

    Args:
        place: where the paper makes it, such as "Results, Fig. 4B".
        says: the paper's words in brief.
        found: our numbers, with errors, instances and n.
        verdict: one of `VERDICTS`.
        evidence: the run and the test that show it.

    Raises:
        ValueError: the verdict is none of the four.
    """

    place: str
    says: str
    found: str
    verdict: str
    evidence: str

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, not {self.verdict!r}")

    def __repr__(self):
        return (
            f"The paper says ({self.place}): {self.says}\n"
            f"We find: {self.found}\n"
            f"Verdict: {self.verdict}. Shown by: {self.evidence}"
        )

    def _repr_html_(self):
        place, says, found, verdict, evidence = map(
            html.escape, (self.place, self.says, self.found, self.verdict, self.evidence)
        )
        kind = self.verdict.replace(" ", "-")
        return (
            f'<div class="claim claim-{kind}" data-verdict="{verdict}">'
            f'<p class="claim-verdict">{verdict}</p>'
            f"<p><strong>The paper says</strong> ({place}): {says}</p>"
            f"<p><strong>We find</strong>: {found}</p>"
            f'<p class="claim-evidence">Shown by {evidence}</p></div>'
        )


def stored_claims(notebook):
    """The claims that an executed notebook shows, in their order, read from its stored outputs.

    Args:
        notebook: path of an .ipynb file.

    Returns:
        A list of `Claim`.
    """
    pattern = r"The paper says \((.*?)\): (.*?)\nWe find: (.*)\nVerdict: (.*?)\. Shown by: (.*)"
    found = []
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/plain", ""))
            if match := re.fullmatch(pattern, text, flags=re.DOTALL):
                place, says, what, verdict, evidence = match.groups()
                found.append(Claim(place, says, what, verdict, evidence))
    return found


class _Source:
    """The source of a library function, shown with colours in a page and plainly elsewhere."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        return highlight(self.text, PythonLexer(), HtmlFormatter(cssclass="highlight"))


def show_source(function, *, docstring=False):
    """Show the source of a function or class of the library, never a copy that could go stale.

    Args:
        function: what to show.
        docstring: whether to keep its docstring.
    """
    text = inspect.cleandoc("\n" + inspect.getsource(function))
    if not docstring and function.__doc__:
        start = text.index('"""')
        end = text.index('"""', start + 3) + 3
        text = text[:start].rstrip() + text[end:]
    return _Source(text)
