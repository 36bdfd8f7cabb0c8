"""Moving pictures carry their numbers rounded, as JSON that a page can hold."""

import json
import re

import numpy as np
import pytest

from arnn.moving import FALLBACK, MovingPicture


def embedded(picture):
    """The data as a browser reads them from the page."""
    (text,) = re.findall(
        r'<script type="application/json">(.*?)</script>', picture._repr_html_(), re.S
    )
    return json.loads(text)


def test_the_page_holds_the_numbers_to_the_digits_asked_for():
    data = {"p": np.array([[0.123456, 1.0], [-0.00001, 0.5]]), "spins": np.array([1, -1])}
    data |= {"name": "CW", "none": None, "tail": (2.00049, np.float64(3.14159))}
    found = embedded(MovingPicture("curie-weiss", data, digits=3))
    assert found["p"] == [[0.123, 1], [0, 0.5]]
    assert found["spins"] == [1, -1]
    assert found["tail"] == [2, 3.142]
    assert (found["name"], found["none"]) == ("CW", None)


def test_no_text_can_end_the_script_element():
    data = {"text": "</script><script>alert(1)</script>"}
    assert embedded(MovingPicture("a", data)) == data


def test_what_is_shown_without_scripts_says_where_to_look():
    picture = MovingPicture("free-energies", {})
    assert FALLBACK in picture._repr_html_()
    assert 'data-picture="free-energies"' in picture._repr_html_()
    assert "free-energies" in repr(picture)


@pytest.mark.parametrize("kind", ["", "Curie", "a b", 'a"b', "-a"])
def test_another_kind_of_name_is_refused(kind):
    with pytest.raises(ValueError, match="kind must be lower-case words"):
        MovingPicture(kind, {})


@pytest.mark.parametrize("value", [np.nan, np.inf, np.array([1.0, np.nan])])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=r"must be finite, but hold (nan|inf)"):
        MovingPicture("a", {"x": value})


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        MovingPicture("a", {"x": object()})
