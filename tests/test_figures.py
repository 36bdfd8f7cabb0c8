"""Figures: one look for each architecture, and drawings that say what the equations say."""

import itertools

import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib import colors
from matplotlib import pyplot as plt

from arnn import figures


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        yield
    plt.close("all")


def luminance(colour):
    return sum(
        w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for w, c in zip((0.2126, 0.7152, 0.0722), colors.to_rgb(colour), strict=True)
    )


def test_no_two_architectures_look_alike():
    for a, b in itertools.combinations(figures.ARCHITECTURES.values(), 2):
        assert a.label != b.label
        assert a.marker != b.marker
        # H2 is the exact distribution, and has its colour.
        assert a.colour != b.colour or {a.label, b.label} == {"exact", "H$_2$-ARNN"}


@pytest.mark.parametrize("name", figures.ARCHITECTURES)
def test_a_look_is_what_plot_takes_and_can_be_seen_on_white(name):
    _, ax = figures.panels()
    (line,) = ax.plot([0, 1], [1, 2], **figures.look(name))
    expected = figures.ARCHITECTURES[name]
    assert line.get_color() == expected.colour
    assert line.get_label() == expected.label
    assert (1.05) / (luminance(expected.colour) + 0.05) > 2


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match=r"name must be one of exact, .*SK_2RSB.*, not 'GRU'"):
        figures.look("GRU")


def test_panels_have_the_shape_and_style_asked_for():
    fig, axes = figures.panels(2, 3, width=9, height=5)
    assert axes.shape == (2, 3)
    assert fig.get_size_inches().tolist() == [9, 5]
    assert not axes[0, 0].spines["top"].get_visible()
    figures.letter(axes.flat)
    assert [ax.get_title(loc="left") for ax in axes.flat] == list("ABCDEF")


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (figures.draw_h2, ("2^{N-i}", r"2\beta(h_i+\xi_{ii})", r"\ln\rho_i^+", r"\ln\rho_i^-")),
        (figures.draw_curie_weiss_n, ("N-i+1", r"2\beta J/N", r"\ln\rho_i^+", r"\ln\rho_i^-")),
        (figures.draw_curie_weiss_infinity, ("sgn", r"2\beta J/N", r"\omega_i^1")),
        (
            figures.draw_sk,
            (r"2\beta(h_i+\xi_{ii})+b_i", "weights $J_{sl}$", r"\xi_{il}", "$w_0^+$"),
        ),
        (
            figures.draw_cavity,
            (r"2\beta a_i (h_i + \xi_{ii})", r"2\beta b_i J_{il}", r"g_J J_{ll'}", "$m(T)$", "g_f"),
        ),
    ],
)
def test_a_drawing_can_be_rendered_and_names_its_parts(draw, said):
    fig, ax = plt.subplots()
    draw(ax)
    fig.canvas.draw()  # raises on mathematics that cannot be set
    words = "\n".join(text.get_text() for text in ax.texts)
    for part in said:
        assert part in words
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for text in ax.texts:
        x, y = text.get_position()
        assert left <= x <= right
        assert bottom <= y <= top


@pytest.mark.parametrize("draw", [figures.draw_h2, figures.draw_curie_weiss_n])
def test_the_two_hidden_sums_enter_with_opposite_signs(draw):
    """Paper Eq. (7) prints two plus signs, and the text after Eq. (14) the two exchanged."""
    _, ax = plt.subplots()
    draw(ax)
    signs = {text.get_text(): text.get_position() for text in ax.texts}
    rho = {sign: signs[rf"$\ln\rho_i^{sign}$"][1] for sign in "+-"}
    assert signs["$-$"][1] < rho["+"]
    assert abs(signs["$-$"][1] - rho["-"]) < abs(signs["$-$"][1] - rho["+"])


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_a_k_rsb_net_has_k_plus_one_log_sigmoids_for_each_field_and_sign(k):
    fig, ax = plt.subplots()
    figures.draw_sk(ax, k)
    fig.canvas.draw()
    words = [text.get_text() for text in ax.texts]
    assert words.count(r"$\log\,\sigma$") == 3 * 2 * (k + 1)  # of the three fields that are drawn
    for level in range(1, k + 2):
        for sign in "+-":
            assert rf"$b_{level}^{sign},\,w_{level}^{sign}$" in words
    assert f"w_{k + 1}" in words[-2]
    assert f"w_{k + 2}" not in "".join(words)


def test_a_k_rsb_net_that_cannot_be_drawn_is_refused():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="k must be an integer of at least 0, not -1"):
        figures.draw_sk(ax, -1)
    with pytest.raises(ValueError, match="k must be at most 3 to be drawn, not 4"):
        figures.draw_sk(ax, 4)
