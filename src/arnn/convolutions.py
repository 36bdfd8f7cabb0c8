"""Gaussian convolutions of the log-sigmoid, and their fits by nested log-sigmoids (SI III.C).

In the k-RSB solution of the SK model a later spin l enters ln rho through one function of its
field h_l, k + 1 nested Gaussian averages of ln 2cosh. The paper replaces it by k + 1 nested
log-sigmoids, whose parameters it then sets free. `nets.sk` is made of such functions.
"""

import itertools
import math

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import logsumexp

from .hamiltonians import as_finite, as_positive
from .log_sigmoids import ConvolutionFit, checked_fields, fit_log_sigmoids
from .quadrature import gaussian_rule

__all__ = ["ConvolutionFit", "block_convolution", "fit_convolution", "gaussian_convolution"]

# Below this m the average of exp(m g) is too close to 1 for its logarithm to be divided by m.
_SMALL_M = 0.01
# The tables between two averages: degree of the spline, and its knots per pi / (2 beta), the
# distance to the nearest singularity, for errors of some 1e-14.
_DEGREE, _KNOTS = 9, 14
_BLOCK = 2**21  # numbers that an average holds at a time
_GRID = np.linspace(-4.0, 4.0, 161)  # the fields of a fit, those of the paper's figures


def gaussian_convolution(x, beta, q, m=()):
    """What k steps of replica symmetry breaking make of log sigma(2 beta x).

    With g_{k+1}(x) = ln 2cosh(beta x), g_j(x) = (1/m_j) ln E_z exp[m_j g_{j+1}(x + sqrt(q_j -
    q_{j-1}) z)] for j = k, ..., 1, and g_0(x) = E_z g_1(x + sqrt(q_0) z), it is beta x - g_0(x).
    For k = 0 that is E_z log sigma(2 beta (x + sqrt(q) z)), SI Eq. (46) with the right measure and
    factors. With q = (0, D) and m = (m,) it is -1/m times `block_convolution(x, beta, D, m)`, the
    1RSB integrand, SI Eq. (47). A later spin in the field h_l adds beta h_l minus this to ln rho.

    Args:
        x: the field, any shape.
        beta: inverse temperature, positive.
        q: the k + 1 overlaps, 0 <= q_0 <= ... <= q_k <= 1, or one number for k = 0.
        m: the k breaking parameters, each in (0, 1].

    Returns:
        float64 array of the shape of x, dimensionless, exact to about 1e-12.

    Raises:
        ValueError: x is not finite, beta not positive, q outside [0, 1] or decreasing, m outside
            (0, 1], or there is not one q more than there are m.
    """
    x, beta = checked_fields(x), as_positive("beta", beta)
    q, m = _checked_overlaps(q, m)
    widths = np.sqrt(np.diff(q, prepend=0.0))
    exponents = (0.0, *m)
    reach = _reaches(float(np.abs(x).max(initial=0.0)), beta, widths, exponents)
    level = _log_two_cosh(beta)
    for j in range(len(m), -1, -1):
        if widths[j] > 0:
            level = _average(level, beta, widths[j], exponents[j])
            if widths[:j].any():
                level = _tabulated(level, beta, reach[j])
    return beta * x - level(x)


def block_convolution(x, beta, variance, m):
    """ln E_y exp[m beta sqrt(D) y - m log sigma(2 beta (x + sqrt(D) y))], SI Eq. (47) corrected.

    The average over the fields that act on one block of m replicas.

    Args:
        x: the field, any shape.
        beta: inverse temperature, positive.
        variance: D = q_1 - q_0, in [0, 1].
        m: the breaking parameter, in (0, 1].

    Returns:
        float64 array of the shape of x, dimensionless, exact to about 1e-12.

    Raises:
        ValueError: as for `gaussian_convolution`.
    """
    variance = as_finite("variance", variance)
    if not 0 <= variance <= 1:
        raise ValueError(f"variance must lie in [0, 1], but is {variance:g}")
    x, beta = checked_fields(x), as_positive("beta", beta)
    _, (m,) = _checked_overlaps((0.0, variance), (m,))
    return m * (_average(_log_two_cosh(beta), beta, math.sqrt(variance), m)(x) - beta * x)


def fit_convolution(beta, q, m=(), *, steps=None, x=_GRID):
    """Least-squares fit of `gaussian_convolution` by log-sigmoids (SI Eq. (46), SI Eq. (47)).

    Args:
        beta, q, m: the convolution.
        steps: k of the form that is fitted, which has 2(k + 2) parameters; None for that of m.
        x: the grid (M,) of fields; 161 points on [-4, 4] unless given.

    Returns:
        A `ConvolutionFit`.

    Raises:
        ValueError: as for `gaussian_convolution` and `fit_log_sigmoids`.
    """
    values = gaussian_convolution(x, beta, q, m)
    return fit_log_sigmoids(x, values, len(np.atleast_1d(m)) if steps is None else steps)


def _log_two_cosh(beta):
    return lambda x: np.logaddexp(beta * x, -beta * x)


def _average(function, beta, width, m):
    """x -> (1/m) ln E_z exp[m function(x + width z)], or E_z function(x + width z) if m = 0.

    The rule may be used at every level: an average of numbers in the sector |arg| < m pi/2, m <= 1,
    stays in it, so that no level has a singularity with |Im x| < pi / (2 beta).
    """
    z, weights = gaussian_rule(beta * width, tilt=m * beta * width)

    def averaged(x):
        x = np.asarray(x)
        result = np.empty(x.size)
        rows = max(1, _BLOCK // len(z))
        for start in range(0, x.size, rows):
            fields = x.reshape(-1, 1)[start : start + rows] + width * z
            result[start : start + rows] = _soft_mean(function(fields), weights, m)
        return result.reshape(x.shape)

    return averaged


def _soft_mean(values, weights, m):
    mean = values @ weights
    if m == 0:
        return mean
    if m < _SMALL_M:
        return mean + np.log1p(np.expm1(m * (values - mean[:, None])) @ weights) / m
    return logsumexp(m * values, b=weights, axis=1) / m


def _reaches(largest, beta, widths, exponents):
    """The largest |x| at which the average over each level is needed, level 0 first."""
    reaches = [largest]
    for width, m in zip(widths, exponents, strict=True):
        z, _ = gaussian_rule(beta * width, tilt=m * beta * width)
        reaches.append(reaches[-1] + width * z[-1])
    return reaches


def _tabulated(function, beta, reach):
    """A spline of an even function for |x| <= reach."""
    step = math.pi / (2 * beta * _KNOTS)
    x = step * np.arange(math.ceil(reach / step) + _KNOTS)  # beyond, for the ends are less exact
    values = function(x)
    both = np.concatenate([values[:0:-1], values])
    return make_interp_spline(np.concatenate([-x[:0:-1], x]), both, k=_DEGREE)


def _checked_overlaps(q, m):
    """q (k+1,) and m (k,) as tuples of floats."""
    q = tuple(as_finite("q", v) for v in (q if np.ndim(q) else [q]))
    m = tuple(as_finite("m", v) for v in (m if np.ndim(m) else [m]))
    if len(q) != len(m) + 1:
        raise ValueError(f"q must have one number more than m, but they have {len(q)} and {len(m)}")
    if min(q) < 0 or max(q) > 1:
        raise ValueError(f"q must lie in [0, 1], but is {q}")
    if any(later < earlier for earlier, later in itertools.pairwise(q)):
        raise ValueError(f"q must not decrease, but is {q}")
    if not all(0 < v <= 1 for v in m):
        raise ValueError(f"m must lie in (0, 1], but is {m}")
    return q, m
