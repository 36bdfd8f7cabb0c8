"""The look of every figure: one style, one colour and marker for each architecture, the drawings.

Colours are those of Okabe and Ito (2008) and, where those run out, of Tol (2021), told apart by
colour-blind readers; each architecture has a marker as well, so that nothing rests on colour alone.
"""

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyBboxPatch

from .hamiltonians import as_count


class Look(NamedTuple):
    """How one architecture is drawn in every figure of the book."""

    colour: str
    marker: str
    label: str


ARCHITECTURES = {
    "exact": Look("#000000", "", "exact"),
    "H2": Look("#000000", "*", "H$_2$-ARNN"),
    "CW_N": Look("#0072B2", "s", "CW$_N$"),
    "CW_inf": Look("#D55E00", "o", r"CW$_\infty$"),
    "1P": Look("#009E73", "^", "1P"),
    "1L": Look("#CC79A7", "v", "1L"),
    "MADE_21": Look("#E69F00", "D", "MADE$_{21}$"),
    "MADE_22": Look("#56B4E9", "P", "MADE$_{22}$"),
    "MADE_23": Look("#44AA99", "X", "MADE$_{23}$"),
    "MADE_32": Look("#999933", "h", "MADE$_{32}$"),
    "SK_RS": Look("#882255", "<", "SK$_\\mathrm{RS}$"),
    "SK_1RSB": Look("#332288", "d", "SK$_\\mathrm{1RSB}$"),
    "SK_2RSB": Look("#117733", "p", "SK$_\\mathrm{2RSB}$"),
    "Cavity": Look("#CC3311", ">", "cavity"),
}
GREY = "#6b6b6b"
HAMILTONIAN = "#E69F00"  # lines whose weight is a parameter of the Hamiltonian, as in the paper


def use_style():
    """Set matplotlib's defaults for the book: legible at phone width and in print."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.8),
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "lines.linewidth": 1.6,
            "lines.markersize": 5,
            "legend.frameon": False,
        }
    )


def panels(rows=1, columns=1, *, width=None, height=None, **options):
    """A figure with a grid of axes in the book's style; returns the figure and the axes."""
    use_style()
    size = (width or 4.2 * columns + 1.2 * (columns == 1), height or 3.6 * rows)
    return plt.subplots(rows, columns, figsize=size, **options)


def look(name):
    """Keyword arguments for `plot` that give an architecture its colour, marker and label.

    Raises:
        ValueError: the name is not one of `ARCHITECTURES`.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"name must be one of {', '.join(ARCHITECTURES)}, not {name!r}")
    colour, marker, label = ARCHITECTURES[name]
    return {"color": colour, "marker": marker, "label": label}


def letter(axes, letters="ABCDEFGH"):
    """Write A, B, C... at the top left corner of each axes."""
    for ax, text in zip(axes, letters, strict=False):
        ax.set_title(text, loc="left", fontweight="bold")


# ---- Drawings of networks ----------------------------------------------------------------------


class _Canvas:
    """Nodes, operators and connections on an axes without a frame."""

    def __init__(self, ax, width, height):
        ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        ax.axis("off")
        self.ax = ax

    def node(self, x, y, text, *, filled=False):
        self.ax.add_patch(
            Circle((x, y), 0.36, fc="#dddddd" if filled else "white", ec="black", zorder=3)
        )
        self.ax.text(x, y, text, ha="center", va="center", fontsize=9, zorder=4)

    def operator(self, x, y, text, width=1.1):
        box = FancyBboxPatch(
            (x - width / 2, y - 0.3), width, 0.6, boxstyle="round,pad=0.04", fc="white", ec="black"
        )
        self.ax.add_patch(box).set_zorder(3)
        self.ax.text(x, y, text, ha="center", va="center", fontsize=9, zorder=4)

    def line(self, *points, colour="black"):
        xs, ys = zip(*points, strict=True)
        self.ax.plot(xs, ys, "-", color=colour, lw=1.1, zorder=1, marker="")

    def text(self, x, y, text, **options):
        self.ax.text(x, y, text, ha="center", va="center", fontsize=9, **options)


def draw_h2(ax):
    """Draw one conditional of the H2-ARNN (cf. Paper Fig. 1), with the signs of the derivation."""
    canvas = _Canvas(ax, 11, 7.4)
    spins, fields = [5.9, 4.9, 3.4], [4.9, 3.9, 2.4]
    for y, text in zip(spins, ["$x_1$", "$x_2$", "$x_{i-1}$"], strict=True):
        canvas.node(0.7, y, text, filled=True)
    canvas.node(3.0, 6.6, r"$\xi_{ii}$")
    for y, text in zip(fields, [r"$\xi_{i,i+1}$", r"$\xi_{i,i+2}$", r"$\xi_{iN}$"], strict=True):
        canvas.node(3.0, y, text)
        for s in spins:
            canvas.line((0.7, s), (3.0, y), colour=HAMILTONIAN)
    for s in spins:
        canvas.line((0.7, s), (3.0, 6.6), colour=HAMILTONIAN)
    _draw_hidden(canvas, fields)
    canvas.line((3.0, 6.6), (8.2, 6.6), (9.0, 3.7))
    canvas.text(6.0, 6.85, r"residual connection, $2\beta(h_i+\xi_{ii})$")
    canvas.node(9.0, 3.7, "$+$")
    canvas.operator(10.2, 3.7, r"$\sigma$", width=0.6)
    canvas.line((9.0, 3.7), (10.2, 3.7))
    canvas.text(0.7, 4.15, r"$\vdots$")
    canvas.text(3.0, 3.15, r"$\vdots$")
    canvas.text(1.8, 0.4, "first layer: weights $J_{sl}$\n(the Hamiltonian)", color="#8a5f00")
    canvas.text(5.2, 0.4, "second layer: $2^{N-i}$\nunits for each sign")
    canvas.text(10.0, 2.7, r"$Q(x_i=1\,|\,x_{<i})$")


def _draw_hidden(canvas, fields):
    """The two exponentially wide sums of the H2-ARNN."""
    for centre, sign in ((4.9, "+"), (2.2, "-")):
        units = [centre + 0.75, centre, centre - 0.75]
        for y, text in zip(units, ["$c_1$", "$c_2$", r"$c_{2^{N-i}}$"], strict=True):
            canvas.node(5.2, y, text)
            canvas.line((5.2, y), (7.3, centre))
            for f in fields:
                canvas.line((3.0, f), (5.2, y), colour=GREY)
        canvas.operator(7.3, centre, r"$\log\,\Sigma\exp$", width=1.3)
        canvas.line((7.3, centre), (9.0, 3.7))
        canvas.text(7.3, centre + 0.55, rf"$\ln\rho_i^{sign}$")
        canvas.text(8.45, centre - 0.35 if sign == "+" else centre + 0.45, f"${sign}$")


def draw_curie_weiss_n(ax):
    """Draw one conditional of CW_N (cf. Paper Fig. 2A), with the corrected signs."""
    canvas = _Canvas(ax, 10, 5.6)
    _draw_sum(canvas)
    for centre, sign in ((3.7, "+"), (1.7, "-")):
        for y in (centre + 0.6, centre, centre - 0.6):
            canvas.line((2.6, 2.7), (4.3, y))
            canvas.line((4.3, y), (6.2, centre))
            canvas.ax.add_patch(Circle((4.3, y), 0.16, fc="white", ec="black", zorder=3))
        canvas.operator(6.2, centre, r"$\log\,\Sigma\exp$", width=1.3)
        canvas.line((6.2, centre), (8.1, 2.7))
        canvas.text(7.5, centre - 0.3 if sign == "+" else centre + 0.35, f"${sign}$")
        canvas.text(6.2, centre + 0.55, rf"$\ln\rho_i^{sign}$")
    canvas.text(4.3, 0.45, "$N-i+1$ units for each sign:\n$b^\\pm_{ik} + \\omega_{ik} S$")
    _draw_output(canvas)


def draw_curie_weiss_infinity(ax):
    """Draw one conditional of CW_inf (cf. Paper Fig. 2B)."""
    canvas = _Canvas(ax, 10, 5.6)
    _draw_sum(canvas)
    canvas.operator(4.6, 2.7, "sgn", width=0.9)
    canvas.line((2.6, 2.7), (4.6, 2.7))
    canvas.line((4.6, 2.7), (8.1, 2.7))
    canvas.text(6.4, 2.95, r"$\omega_i^1$")
    canvas.text(6.4, 2.1, "one weight\nfor each spin")
    _draw_output(canvas)


def _draw_sum(canvas):
    for y, text in zip([4.2, 3.3, 1.5], ["$x_1$", "$x_2$", "$x_{i-1}$"], strict=True):
        canvas.node(0.6, y, text, filled=True)
        canvas.line((0.6, y), (2.6, 2.7))
    canvas.text(0.6, 2.4, r"$\vdots$")
    canvas.operator(2.6, 2.7, "$S=\\Sigma$", width=0.9)
    canvas.line((2.6, 2.7), (3.4, 4.8), (7.3, 4.8), (8.1, 2.7), colour=HAMILTONIAN)
    canvas.text(
        5.35,
        5.1,
        r"$2\beta h$ + shared weight $\omega^0 S$, $\omega^0 = 2\beta J/N$",
        color="#8a5f00",
    )


def _draw_output(canvas):
    canvas.node(8.1, 2.7, "$+$")
    canvas.operator(9.2, 2.7, r"$\sigma$", width=0.6)
    canvas.line((8.1, 2.7), (9.2, 2.7))
    canvas.text(9.0, 1.9, r"$Q(x_i=1\,|\,x_{<i})$")


def draw_sk(ax, k=1):
    """Draw one conditional of SK_kRSB (cf. Paper Fig. 3), with 2 beta, b_i and one l in full.

    Raises:
        ValueError: k is not an integer of at least 0, or above 3, which would not fit.
    """
    if as_count("k", k, at_least=0) > 3:
        raise ValueError(f"k must be at most 3 to be drawn, not {k}")
    right = 4.7 + 2.6 * (k + 1)
    canvas = _Canvas(ax, right + 3.2, 7.6)
    spins, fields = [5.9, 4.9, 3.0], [5.5, 3.5, 1.5]
    canvas.node(3.0, 6.7, r"$\xi_{ii}$")
    for y, text in zip(fields, [r"$\xi_{i,i+1}$", r"$\xi_{il}$", r"$\xi_{iN}$"], strict=True):
        canvas.node(3.0, y, text)
    for s, text in zip(spins, ["$x_1$", "$x_2$", "$x_{i-1}$"], strict=True):
        canvas.node(0.7, s, text, filled=True)
        for y in [6.7, *fields]:
            canvas.line((0.7, s), (3.0, y), colour=HAMILTONIAN)
    for y, full in zip(fields, [False, True, False], strict=True):
        _draw_log_sigmoids(canvas, y, k, right, full)
    canvas.line((3.0, 6.7), (right, 6.7), (right + 1.0, 3.5))
    canvas.text(0.5 * (3.0 + right), 6.95, r"direct connection, $2\beta(h_i+\xi_{ii})+b_i$")
    canvas.node(right + 1.0, 3.5, "$+$")
    canvas.operator(right + 2.2, 3.5, r"$\sigma$", width=0.6)
    canvas.line((right + 1.0, 3.5), (right + 2.2, 3.5))
    for x, y in ((0.7, 3.95), (3.0, 4.5), (3.0, 2.5)):
        canvas.text(x, y, r"$\vdots$")
    canvas.text(1.5, 0.3, "first layer: weights $J_{sl}$\n(the Hamiltonian)", color="#8a5f00")
    canvas.text(max(7.2, right - 1.3 * (k + 1)), 0.3, _units(k))
    canvas.text(right + 2.0, 2.6, r"$Q(x_i=1\,|\,x_{<i})$")


def _units(k):
    layers = "one log-sigmoid" if k == 0 else f"{k + 1} nested log-sigmoids"
    numbers = ", ".join(["w_0"] + [f"b_{level}, w_{level}" for level in range(1, k + 2)])
    return f"{layers} for each later spin $l$\nand each sign: ${numbers}$"


def _draw_log_sigmoids(canvas, y, k, right, full):
    """The two chains of log-sigmoids of one field; their numbers are written on one of them."""
    for sign, up in (("+", 0.45), ("-", -0.45)):
        stops = [(3.0, y)] + [(4.9 + 2.6 * layer, y + up) for layer in range(k + 1)]
        canvas.line(*stops, (right + 1.0, 3.5))
        for layer, (x, height) in enumerate(stops[1:]):
            canvas.operator(x, height, r"$\log\,\sigma$", width=0.9)
            if full:
                level = k + 1 - layer
                name = rf"$b_{level}^{sign},\,w_{level}^{sign}$"
                canvas.text(x - 1.05, height + up / 1.6, name)
        if full:
            canvas.text(stops[-1][0] + 0.95, y + 1.6 * up, rf"$w_0^{sign}$")


def draw_cavity(ax):
    """Draw one conditional of the cavity network, with three of its iterations.

    The fields enter every iteration, and are drawn at the first one alone.
    """
    canvas = _Canvas(ax, 15.4, 7.2)
    spins, later = [5.6, 4.7, 3.0], [4.9, 3.7, 2.0]
    layers = {5.6: "1", 8.2: "2", 11.2: "T"}
    canvas.node(3.0, 6.5, r"$\xi_{ii}$")
    for s, text in zip(spins, ["$x_1$", "$x_2$", "$x_{i-1}$"], strict=True):
        canvas.node(0.7, s, text, filled=True)
        for y in [6.5, *later]:
            canvas.line((0.7, s), (3.0, y), colour=HAMILTONIAN)
    for y, index in zip(later, ["i,i+1", "il", "iN"], strict=True):
        canvas.node(3.0, y, rf"$\xi_{{{index}}}$")
        canvas.line((3.0, y), (5.6, y))
        for x in layers:
            canvas.operator(x, y, "tanh", width=0.9)
        canvas.line((11.2, y), (13.2, 4.3), colour=HAMILTONIAN)
    for left, right in ((5.6, 8.2), (8.2, 11.2)):
        for a in later:
            for b in later:
                colour = "black" if a == b else HAMILTONIAN  # the memory of a spin, and J_ll'
                canvas.line((left, a), (right, b), colour=colour)
    canvas.line((3.0, 6.5), (12.6, 6.5), (13.2, 4.3))
    canvas.node(13.2, 4.3, "$+$")
    canvas.operator(14.4, 4.3, r"$\sigma$", width=0.6)
    canvas.line((13.2, 4.3), (14.4, 4.3))
    _draw_cavity_words(canvas, layers)


def _draw_cavity_words(canvas, layers):
    for x, t in layers.items():
        canvas.text(x, 1.25, rf"$m({t})$")
    canvas.text(9.7, 1.25, r"$\cdots$")
    for x, y in ((0.7, 3.85), (3.0, 2.85)):
        canvas.text(x, y, r"$\vdots$")
    canvas.text(7.4, 6.8, r"direct connection, $2\beta a_i (h_i + \xi_{ii})$")
    canvas.text(12.9, 2.6, r"$2\beta b_i J_{il}$", color="#8a5f00")
    canvas.text(13.9, 5.3, r"$Q(x_i=1\,|\,x_{<i})$")
    canvas.text(4.3, 5.3, "$g_f$")
    canvas.text(6.9, 5.5, r"$g_J J_{ll'},\ g_R, d$", color="#8a5f00")
    canvas.text(1.8, 0.5, "first layer: weights $J_{sl}$", color="#8a5f00")
    canvas.text(8.4, 0.5, "iterations: weights $J_{ll'}$", color="#8a5f00")
