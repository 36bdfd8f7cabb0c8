"""The moving pictures, opened from the disk: moved by the keyboard, and read off the drawing.

Every number that a picture says or draws is worked out anew, from the package or a stored result.
"""

import math
import re

import numpy as np
import pytest
from conftest import SITE
from page_facts import MATH_DONE

import arnn
from arnn import exact, replica, runs
from arnn.nets import CurieWeissInfinity, CurieWeissN

pytestmark = pytest.mark.xdist_group("moving.html")
PAGE = (SITE / "moving.html").as_uri()
RESULTS = SITE.parents[1] / "book" / "results"
PICTURES = ("curie-weiss", "sampling", "overlaps", "matrix", "free-energies")
NUMBER = r"([+−]?\d+(?:\.\d+)?)"
LUMINANCE = """node => {
  const canvas = new OffscreenCanvas(1, 1), brush = canvas.getContext("2d");
  const of = colour => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const part = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map(v => part(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(node);
  const seen = style.stroke === "none" || node.closest("text") ? style.fill : style.stroke;
  return [of(seen), of(getComputedStyle(node.closest(".moving")).backgroundColor)];
}"""


def number(text):
    return float(text.replace("−", "-"))


class Picture:
    """One picture on the page: its controls, its words and its drawing."""

    def __init__(self, page, kind):
        self.root = page.locator(f'[data-picture="{kind}"]')

    def control(self, name):
        return self.root.locator(f'[data-control="{name}"]')

    def press(self, name, *keys):
        for key in keys:
            self.control(name).press(key)

    def choose(self, name, place):
        self.press(name, "Home", *["ArrowDown"] * place)

    def words(self):
        return self.root.locator("output").inner_text().replace("\n", "")

    def numbers(self, pattern):
        """The numbers in place of # in a pattern that the words must contain."""
        text = self.root.locator("output").text_content()
        found = re.search(pattern.replace("#", NUMBER), text)
        assert found, f"{pattern!r} not in {text!r}"
        return [number(part) for part in found.groups()]

    def attributes(self, selector, *names):
        """The attributes, as numbers, of each shape that a selector finds, (shapes, names)."""
        read = "(nodes, names) => nodes.map(x => names.map(n => parseFloat(x.getAttribute(n))))"
        rows = self.root.locator(selector).evaluate_all(read, names)
        return np.reshape(np.array(rows, dtype=float), (-1, len(names)))

    def curve(self, series):
        """The points of a curve in pixels, (points, 2)."""
        text = self.root.locator(f'[data-series="{series}"] polyline').get_attribute("points")
        return np.array([point.split(",") for point in text.split()], dtype=float)


@pytest.fixture
def page(desktop):
    requests = []
    desktop.on("request", lambda request: requests.append(request.url))
    desktop.goto(PAGE)
    desktop.evaluate(MATH_DONE)
    yield desktop
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_picture_has_controls_with_names_and_words_that_are_announced(page):
    assert [
        root.get_attribute("data-picture") for root in page.locator("div.moving").all()
    ] == list(PICTURES)
    for kind in PICTURES:
        root = Picture(page, kind).root
        controls = root.locator("input, select").all()
        assert controls
        for control in controls:
            name = control.get_attribute("id")
            assert root.locator(f'label[for="{name}"]').inner_text().strip()
        output = root.locator("output")
        assert output.get_attribute("aria-live") == "polite"
        assert len(output.inner_text()) > 40
        assert len(root.locator("svg").get_attribute("aria-label")) > 30


def test_tab_visits_every_control_in_order(page):
    controls = page.locator("div.moving [data-control]")
    in_order = controls.evaluate_all("nodes => nodes.map(node => node.id)")
    controls.first.focus()
    visited = []
    while in_order[-1] not in visited and len(visited) < 300:  # links and buttons lie between
        visited.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert [name for name in visited if name in in_order] == in_order
    assert len(in_order) == 12


def test_nothing_moves_by_itself(page):
    drawings = page.locator("div.moving svg")
    before = [drawing.inner_html() for drawing in drawings.all()]
    page.wait_for_timeout(1000)
    assert [drawing.inner_html() for drawing in drawings.all()] == before
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.locator("div.moving :is(animate, animateTransform)").count() == 0


def test_curie_weiss_conditional_is_the_exact_one_at_every_stop(page):
    picture = Picture(page, "curie-weiss")
    picture.press("beta", "Home")
    said = set()
    for keys, spin in (
        ([], 20),
        (["ArrowRight"] * 10, 20),
        (["End"], 20),
        (["ArrowLeft"] * 4, 20),
        ([], 2),
    ):
        picture.press("beta", *keys)
        if spin == 2:
            picture.press("spin", "Home")
        beta, i, total, p, q, cost = picture.numbers(
            r"β = #, spin # of 100.*At S = # the exact P\(xi = \+1\) is #, and CW∞ gives #; "
            r"this conditional of CW∞ costs # · 10−3 nats"
        )
        assert i == spin
        nets = CurieWeissN(100, beta), CurieWeissInfinity(100, beta)
        values = np.arange(1 - spin, spin, 2)
        tables = [net.logit_table().sigmoid().detach().numpy()[spin - 1, :spin] for net in nets]
        assert [p, q] == pytest.approx([t[values == total][0] for t in tables], abs=6e-4)
        for name, table in zip(("CW_N", "CW_inf"), tables, strict=True):
            x, y = picture.curve(name).T
            assert (280 - y) / 230 == pytest.approx(table, abs=1e-3)
            assert (np.diff(x) > 0).all()
        assert cost >= 0
        said.add(picture.words())
    assert len(said) == 5


def test_the_bars_of_the_sums_part_in_two_beyond_the_transition(page):
    picture = Picture(page, "curie-weiss")

    def highest():
        heights = picture.attributes(".law", "height")[:, 0]
        return np.argmax(heights) / (len(heights) - 1)

    picture.press("beta", "Home")
    assert highest() == pytest.approx(0.5, abs=0.1)
    picture.press("beta", "End")
    m = exact.curie_weiss_magnetisation(1.5)
    assert abs(2 * highest() - 1) == pytest.approx(m, abs=0.15)


def test_drawing_spin_by_spin_shows_the_fields_of_the_past_and_ends_at_the_boltzmann_weight(page):
    picture = Picture(page, "sampling")
    H = arnn.sherrington_kirkpatrick(16, 2)
    log_z, couplings = exact.log_partition(H, 1.5), H.couplings.numpy()
    ends = set()
    for draw in range(3):
        picture.choose("draw", draw)
        picture.press("known", "Home")
        upward_probabilities = []
        for known in range(17):
            marks = picture.root.locator("text.arrow").all_text_contents()
            assert marks.count("?") == 16 - known
            past = np.array([1 if mark == "↑" else -1 for mark in marks[:known]])
            fields = past @ couplings[:known]
            bars = picture.attributes(".field", "data-field", "y", "height")
            zero = picture.attributes(".zero", "y1")[0, 0]
            assert bars[:, 0] == pytest.approx(np.arange(known, 16) + 1)
            if known == 16:
                break
            upward = np.where(np.abs(bars[:, 1] - zero) < 0.01, -1, 1) * bars[:, 2]
            scale = np.abs(upward).max() / max(np.abs(fields[known:]).max(), 1e-12)
            assert upward == pytest.approx(fields[known:] * scale, abs=0.05)
            field, p, alone = picture.numbers(
                f"Spin {known + 1} feels the field ξ = #; it is \\+1 with probability #. "
                "Without the spins after it, this would be #"
            )
            assert field == pytest.approx(fields[known], abs=6e-4)
            assert alone == pytest.approx(1 / (1 + math.exp(-3 * fields[known])), abs=6e-4)
            upward_probabilities.append(p)
            picture.root.get_by_role("button", name="draw the next spin").press("Enter")
        x = H.couplings.new_tensor(past)[None]
        exact_ones = exact.conditional_logits(H, 1.5, x)[0].sigmoid().numpy()
        assert upward_probabilities == pytest.approx(exact_ones, abs=6e-4)
        log_p, energy, said_log_z = picture.numbers(
            r"ln P = #, which is −βH − ln Z with H = # and ln Z = #"
        )
        assert energy == pytest.approx(float(H.energy(x)), abs=6e-4)
        assert said_log_z == pytest.approx(log_z, abs=6e-4)
        assert log_p == pytest.approx(-1.5 * energy - log_z, abs=2e-3)
        ends.add(tuple(past))
    assert len(ends) == 3
    picture.root.get_by_role("button", name="undo a spin").press("Space")
    assert picture.control("known").input_value() == "15"


def stored_law(n, instance, name, beta):
    data = runs.load(RESULTS / f"sk_n{n}_s{instance}_{name}").data
    return data["overlap_probability"][list(data["overlap_beta"]).index(beta)]


def test_overlaps_are_those_of_the_stored_results(page):
    picture = Picture(page, "overlaps")
    names = picture.control("net").locator("option").all_inner_texts()
    picture.choose("net", names.index("SK RS"))
    seen = {}
    for place, n in enumerate((50, 100, 200)):
        picture.choose("n", place)
        picture.press("beta", "Home", "ArrowRight")
        q = 2 * np.arange(n + 1) / n - 1
        (listed,) = re.findall(r"instances? ([\d, ]+)\.", picture.words())
        instances = [int(s) for s in listed.split(",")]
        found = picture.numbers(r"tempering # \(mean q² #\); SKRS # \(mean q² #\)")
        assert f"N = {n}, β = 1.5, " in picture.words()
        for name, low, square in (("tempering", *found[:2]), ("SK_RS", *found[2:])):
            law = np.mean([stored_law(n, s, name, 1.5) for s in instances], 0)
            assert low == pytest.approx(law[np.abs(q) < 0.3].sum(), abs=6e-4)
            assert square == pytest.approx(law @ q**2, abs=6e-4)
        seen[n] = picture.curve("SK_RS")
        colder = picture.words()
        picture.press("beta", "ArrowRight")
        assert "β = 2.0" in picture.words()
        assert picture.words() != colder
        assert (picture.curve("SK_RS")[:, 1] != seen[n][:, 1]).any()


def test_the_matrix_has_the_overlaps_of_the_saddle_point(page):
    picture = Picture(page, "matrix")
    for steps in range(4):
        picture.choose("steps", steps)
        picture.press("beta", "Home")
        f, entropy = picture.numbers("one overlap, .*0.000 .1.000.; .*f = #, entropy #")
        assert f == pytest.approx(-math.log(2) / 0.5 - 0.5 / 4, abs=6e-6)  # beta = 0.5
        assert entropy == pytest.approx(math.log(2) - 0.5**2 / 4, abs=6e-5)
        picture.press("beta", "End")  # beta = 3
        solution = replica.free_energy(3.0, steps)
        weights = np.diff([0.0, *solution.m, 1.0])
        f, entropy = picture.numbers("β = 3.00, .*f = #, entropy #")
        assert [f, entropy] == pytest.approx([solution.f, solution.entropy], abs=6e-5)
        pairs = re.findall(rf"{NUMBER} \({NUMBER}\)", picture.words())
        said = np.array([[number(part) for part in pair] for pair in pairs])
        assert said == pytest.approx(np.transpose([solution.q, weights]), abs=6e-4)
        shades = picture.attributes(".cell:not(.diagonal)", "fill-opacity")[:, 0]
        assert len(shades) == 16 * 15
        assert np.unique(shades) == pytest.approx(solution.q, abs=6e-4)
        heights = picture.attributes(".peak", "height")[:, 0]
        assert heights / heights.sum() == pytest.approx(weights, abs=1e-3)


def check_error(picture, n, name, beta, instances):
    """Compare what the picture says of a network with the mean over these instances."""
    true, net = (
        np.array([f_of(n, s, which, beta) for s in instances]) for which in ("tempering", name)
    )
    excess = 1e4 * (net - true)[:, 0] / -true[:, 0]
    noise = 1e4 * np.hypot(true[:, 1], net[:, 1]) / -true[:, 0]
    spread = excess.std(ddof=1) if len(instances) > 2 else np.sqrt(np.mean(noise**2))
    said = picture.numbers(f"{name.replace('_', '')} # ± #")
    expected = [excess.mean(), spread / len(instances) ** 0.5]
    assert said == pytest.approx(expected, abs=6e-3)


def test_free_energies_are_those_of_the_stored_results(page):
    picture = Picture(page, "free-energies")
    for place, n in enumerate((50, 100, 200)):
        picture.choose("n", place)
        dots = []
        for keys, beta in (([], 1.5), (["ArrowLeft"] * 5, 1.0)):
            picture.press("beta", *keys)
            assert f"N = {n}, β = {beta}. " in picture.words()
            (listed,) = re.findall(r"instances? ([\d, ]+):", picture.words())
            instances = [int(s) for s in listed.split(",")]
            for name in ("SK_RS", "1L", "Cavity"):
                check_error(picture, n, name, beta, instances)
            dots.append(picture.attributes("circle", "cx")[:, 0])
            picture.choose("instances", 1)
            both = (set(RESULTS.glob(f"sk_n{n}_s*_{name}")) for name in ("SK_RS", "tempering"))
            stored = set.intersection(*({int(p.name.split("_")[2][1:]) for p in of} for of in both))
            check_error(picture, n, "SK_RS", beta, sorted(stored))
            picture.choose("instances", 0)
        assert (dots[0] != dots[1]).all()
        picture.press("beta", "Home")  # hotter than 0.5 the cavity network was not trained
        assert "Cavity was not trained at this temperature." in picture.words()
        assert len(picture.attributes("circle", "cx")) == len(dots[0]) - 1
        picture.press("beta", *["ArrowRight"] * 14)
        assert "β = 1.5" in picture.words()


def f_of(n, instance, name, beta):
    """The free energy per spin and its error in a stored result."""
    data = runs.load(RESULTS / f"sk_n{n}_s{instance}_{name}").data
    row = int(np.argmin(np.abs(data["beta"] - beta)))
    return data["f"][row], data["f_error"][row]


def test_without_scripts_the_standing_figures_remain(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(PAGE)
    assert page.locator("main figure img:visible, main .cell_output img:visible").count() == 5
    assert page.locator("main figcaption:visible, main .caption-text:visible").count() >= 5
    for root in page.locator("div.moving").all():
        assert "needs scripts" in root.inner_text()
        assert root.locator("input, select, button, svg").count() == 0
    context.close()


def test_in_print_the_standing_figures_take_their_place(page):
    page.emulate_media(media="print")
    assert page.locator("div.moving:visible").count() == 0
    assert page.locator("main figure img:visible, main .cell_output img:visible").count() == 5
    page.emulate_media(media="screen")


@pytest.mark.parametrize(("theme", "least"), [("light", 2.5), ("dark", 3.5)])
def test_every_network_and_word_can_be_seen_on_the_page(page, theme, least):
    picture = Picture(page, "overlaps")
    picture.choose("net", picture.control("net").locator("option").count() - 1)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    assert contrasts(page, "g.look :is(polyline, circle)").min() > least
    assert contrasts(page, "svg text:not(.arrow.up)").min() > 4.5  # the others are on a filled disc


def contrasts(page, selector):
    """The contrast of each shape with the ground of its picture."""
    found = [node.evaluate(LUMINANCE) for node in page.locator(f"div.moving {selector}").all()]
    assert len(found) > 10
    darker, lighter = np.sort(found).T
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("kind", PICTURES)
def test_on_a_phone_every_word_of_a_drawing_is_inside_it_and_large_enough(phone, kind):
    phone.goto(PAGE)
    phone.evaluate(MATH_DONE)
    picture = Picture(phone, kind)
    box = picture.root.locator("svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    for key in ("End", "Home"):
        if kind == "overlaps":
            picture.press("net", key)  # all networks, then the first
        picture.press("known" if kind == "sampling" else "beta", key)
        for text in picture.root.locator("svg > text, svg g > text").all():
            word = text.bounding_box()
            if not text.text_content():
                continue
            assert word["x"] >= box["x"] - 1, text.text_content()
            assert word["x"] + word["width"] <= box["x"] + box["width"] + 1, text.text_content()
            assert text.evaluate("node => parseFloat(getComputedStyle(node).fontSize)") >= 12
