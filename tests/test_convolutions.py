"""Gaussian convolutions against adaptive integrators, closed forms and the replica functional."""

import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.special import log_expit

from arnn import replica
from arnn.convolutions import block_convolution, fit_convolution, gaussian_convolution
from arnn.log_sigmoids import fit_log_sigmoids

FIELDS = np.array([-3.3, -1.0, -0.2, 0.0, 0.7, 4.0])


def density(z):
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def log_two_cosh(t):
    return abs(t) + math.log1p(math.exp(-2 * abs(t)))


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("q", [0.01, 0.5, 1.0])
def test_one_average(beta, q):
    width = math.sqrt(q)
    for x in FIELDS:
        kink = [-x / width] if abs(x / width) < 11 else None
        truth, _ = quad(
            lambda z, x=x: density(z) * log_expit(2 * beta * (x + width * z)),
            *(-11, 11),
            points=kink,
            epsabs=1e-13,
            epsrel=1e-13,
            limit=400,
        )
        assert gaussian_convolution(x, beta, q) == pytest.approx(truth, abs=1e-12, rel=1e-13)


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
@pytest.mark.parametrize(("variance", "m"), [(0.2, 0.05), (0.5, 0.5), (1.0, 0.9), (0.3, 1.0)])
def test_the_average_over_a_block(beta, variance, m):
    width = math.sqrt(variance)

    def integrand(y, x):
        return density(y) * math.exp(
            m * beta * width * y - m * log_expit(2 * beta * (x + width * y))
        )

    for x in FIELDS:
        truth = math.log(
            quad(integrand, -14, 14, (x,), epsabs=0, epsrel=1e-13, limit=400, points=[-x / width])[
                0
            ]
            if abs(x / width) < 14
            else quad(integrand, -14, 14, (x,), epsabs=0, epsrel=1e-13, limit=400)[0]
        )
        assert block_convolution(x, beta, variance, m) == pytest.approx(truth, abs=1e-11)


def test_two_nested_averages_against_a_double_integral():
    """At an integer 1/m = 2 the square of the inner average is one double integral."""
    beta, q, m = 1.0, (0.0, 0.6), 0.5
    for x in (-0.4, 0.9):
        square, _ = dblquad(
            lambda y, z, x=x: (
                density(y)
                * density(z)
                * math.exp(
                    m * log_two_cosh(beta * (x + math.sqrt(q[1]) * y))
                    + m * log_two_cosh(beta * (x + math.sqrt(q[1]) * z))
                )
            ),
            *(-9, 9, -9, 9),
            epsabs=1e-11,
        )
        truth = beta * x - math.log(square)
        assert gaussian_convolution(x, beta, q, (m,)) == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_nested_averages_against_nested_integrals(beta):
    """k = 1 with both widths positive, the outer integral adaptive over the inner one."""
    q, m = (0.3, 0.8), 0.4

    def g_1(t):
        inner, _ = quad(
            lambda y: density(y) * math.exp(m * log_two_cosh(beta * (t + math.sqrt(0.5) * y))),
            *(-12, 12),
            points=[-t / math.sqrt(0.5)],
            epsabs=0,
            epsrel=1e-13,
            limit=200,
        )
        return math.log(inner) / m

    for x in (-1.1, 0.0, 0.6):
        outer, _ = quad(
            lambda z, x=x: density(z) * g_1(x + math.sqrt(q[0]) * z), -9, 9, epsabs=1e-11
        )
        found = gaussian_convolution(x, beta, q, (m,))
        assert found == pytest.approx(beta * x - outer, abs=1e-10)


@pytest.mark.parametrize("beta", [0.05, 0.7, 2.0, 6.0])
@pytest.mark.parametrize(
    ("q", "m"),
    [
        ((0.4,), ()),
        ((0.0, 0.6), (0.3,)),
        ((0.2, 0.9), (0.7,)),
        ((0.1, 0.4, 0.8), (0.2, 0.6)),
        ((0.3, 0.3, 0.31, 1.0), (0.6, 0.2, 1.0)),
        ((0.1, 0.2, 0.4, 0.7, 0.75), (0.1, 0.2, 0.4, 0.9)),
    ],
)
def test_against_the_replica_functional(beta, q, m):
    """Each field adds beta h - f(h) to ln rho, which `replica` sums on a grid of its own."""
    found = [beta * x - gaussian_convolution(x, beta, q, m) for x in (-1.3, 0.0, 2.1)]
    truth = [replica.log_rho(beta, [x], 1, q, m) for x in (-1.3, 0.0, 2.1)]
    assert np.diff(found) == pytest.approx(np.diff(truth), abs=1e-11)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_no_width_leaves_the_log_sigmoid(beta):
    for q, m in ((0.0, ()), ((0.0, 0.0), (0.4,)), ((0, 0, 0), (0.3, 0.8))):
        found = gaussian_convolution(FIELDS, beta, q, m)
        assert found == pytest.approx(log_expit(2 * beta * FIELDS), abs=1e-14)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_one_replica_a_block_shifts_the_log_sigmoid(beta):
    """m = 1: E 2cosh beta(x + sqrt(D) y) = exp(beta^2 D / 2) 2cosh(beta x), in closed form."""
    found = gaussian_convolution(FIELDS, beta, (0.0, 0.7), (1.0,))
    truth = log_expit(2 * beta * FIELDS) - beta**2 * 0.7 / 2
    assert found == pytest.approx(truth, abs=1e-12)
    assert block_convolution(FIELDS, beta, 0.7, 1) == pytest.approx(-truth, abs=1e-12)


def test_limits_of_m():
    """m -> 0 is a plain average of variance q_1; m = 1 leaves that of q_0 and a constant."""
    x, beta, q = FIELDS, 2.0, (0.3, 0.8)
    plain = gaussian_convolution(x, beta, 0.8)
    for m in (1e-8, 1e-4):
        assert gaussian_convolution(x, beta, q, (m,)) == pytest.approx(plain, abs=2 * m)
    narrow = gaussian_convolution(x, beta, 0.3) - beta**2 * 0.5 / 2
    assert gaussian_convolution(x, beta, q, (1.0,)) == pytest.approx(narrow, abs=1e-12)


def test_neighbouring_m_agree_where_the_formula_changes():
    below, above = (gaussian_convolution(FIELDS, 1, (0, 1), (m,)) for m in (0.01 - 1e-9, 0.01))
    assert below == pytest.approx(above, abs=2e-9)
    assert np.abs(below - above).max() > 1e-12


def test_equal_steps_merge():
    """Two steps with one m are one step; an average of width zero is none."""
    x, beta = FIELDS, 1.7
    one = gaussian_convolution(x, beta, (0.1, 0.8), (0.4,))
    assert gaussian_convolution(x, beta, (0.1, 0.5, 0.8), (0.4, 0.4)) == pytest.approx(
        one, abs=1e-12
    )
    assert gaussian_convolution(x, beta, (0.1, 0.1, 0.8), (0.9, 0.4)) == pytest.approx(
        one, abs=1e-12
    )


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_the_integrands_have_the_slopes_and_the_symmetry_of_ln_cosh(beta):
    q, m = (0.2, 0.4, 0.9), (0.3, 0.7)
    far = np.array([40.0, 41.0])
    constant = -(beta**2) / 2 * (0.3 * 0.2 + 0.7 * 0.5)  # E over the blocks, as in m = 1
    assert gaussian_convolution(far, beta, q, m) == pytest.approx(constant, abs=1e-12)
    left = gaussian_convolution(-far, beta, q, m) + 2 * beta * far
    assert left == pytest.approx(constant, abs=1e-11)
    even = gaussian_convolution(FIELDS, beta, q, m) - beta * FIELDS
    mirrored = gaussian_convolution(-FIELDS, beta, q, m) + beta * FIELDS
    assert even == pytest.approx(mirrored, abs=1e-12)


def test_the_block_is_the_inner_level_of_the_nest():
    block = block_convolution(FIELDS, 1.4, 0.6, 0.3)
    nest = gaussian_convolution(FIELDS, 1.4, (0.0, 0.6), (0.3,))
    assert block == pytest.approx(-0.3 * nest, abs=1e-13)


def test_shapes():
    assert gaussian_convolution(0.3, 1, 0.5).shape == ()
    assert gaussian_convolution(np.zeros((2, 3)), 1, (0.1, 0.5), (0.5,)).shape == (2, 3)
    assert gaussian_convolution([], 1, (0.1, 0.5), (0.5,)).shape == (0,)


# ---- The fits of SI Figs. S1 and S2 ------------------------------------------------------------


def test_four_parameters_for_the_symmetric_integrand():
    worst = {
        (beta, q): fit_convolution(beta, q).max_error
        for beta in (0.5, 1.0, 2.0, 3.0)
        for q in (0.25, 0.5, 0.75)
    }
    assert min(worst, key=worst.get) == (0.5, 0.25)
    assert max(worst, key=worst.get) == (3.0, 0.75)
    assert worst[0.5, 0.25] == pytest.approx(0.00154, abs=1e-5)
    assert worst[3.0, 0.75] == pytest.approx(0.0397, abs=1e-4)


def test_six_parameters_for_the_integrand_of_a_block():
    x = np.linspace(-4, 4, 161)
    four, six = [], []
    for beta in (0.5, 1.0, 2.0, 3.0):
        for variance in (0.25, 0.75):
            for m in (0.2, 0.5, 0.8):
                values = block_convolution(x, beta, variance, m)
                four.append(fit_log_sigmoids(x, values, 0).max_error)
                six.append(fit_log_sigmoids(x, values, 1).max_error)
    ratio = np.divide(four, six)
    assert min(six) == pytest.approx(7.3e-5, abs=2e-6)
    assert max(six) == pytest.approx(3.23e-3, abs=2e-5)
    assert ratio.min() == pytest.approx(1.29, abs=0.01)
    assert ratio.max() == pytest.approx(4.26, abs=0.02)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_fits_of_what_needs_no_fit(k):
    """log sigma itself, and the block at m = 1, are nested log-sigmoids of any depth."""
    assert fit_convolution(1.3, 0.0, steps=k).max_error < 1e-12
    assert fit_convolution(1.3, (0.0, 0.6), (1.0,), steps=k).max_error < 1e-11


def test_a_fit_has_the_depth_of_the_convolution_unless_told_otherwise():
    assert len(fit_convolution(1, 0.5).parameters) == 4
    assert len(fit_convolution(1, (0.2, 0.5), (0.4,)).parameters) == 6
    assert len(fit_convolution(1, (0.2, 0.5), (0.4,), steps=0).parameters) == 4
    fit = fit_convolution(1, 0.5, x=np.linspace(-1, 1, 21))
    x = np.linspace(-1, 1, 21)
    assert np.abs(fit(x) - gaussian_convolution(x, 1, 0.5)).max() == pytest.approx(fit.max_error)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"beta": 0.0}, "beta must be"),
        ({"beta": -1.0}, "beta must be"),
        ({"q": -0.1}, r"q must lie in \[0, 1\]"),
        ({"q": 1.1}, r"q must lie in \[0, 1\]"),
        ({"q": math.nan}, "q must be a finite number"),
        ({"q": (0.5, 0.2), "m": (0.3,)}, "q must not decrease"),
        ({"q": (0.2, 0.5), "m": (0.0,)}, r"m must lie in \(0, 1\]"),
        ({"q": (0.2, 0.5), "m": (1.2,)}, r"m must lie in \(0, 1\]"),
        ({"q": (0.2, 0.5)}, "q must have one number more than m"),
        ({"q": ()}, "q must have one number more than m"),
        ({"x": math.inf}, "x must be finite"),
        ({"x": "wide"}, "x must be an array of numbers"),
    ],
)
def test_wrong_input(options, name):
    with pytest.raises(ValueError, match=name):
        gaussian_convolution(**{"x": 0.0, "beta": 1.0, "q": 0.5} | options)


def test_wrong_input_of_a_block_and_of_a_fit():
    with pytest.raises(ValueError, match=r"variance must lie in \[0, 1\]"):
        block_convolution(0.0, 1.0, -0.1, 0.5)
    with pytest.raises(ValueError, match=r"m must lie in \(0, 1\]"):
        block_convolution(0.0, 1.0, 0.1, 0.0)
    with pytest.raises(ValueError, match="steps must be an integer of at least 0"):
        fit_convolution(1.0, 0.5, steps=-1)
