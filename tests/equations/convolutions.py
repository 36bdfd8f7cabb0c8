"""The convolutions of SI Secs. III.A-C by plain sums, and as the paper prints them."""

import math

import numpy as np
from scipy.special import log_expit, logsumexp

GRID = np.linspace(-4, 4, 161)
# (beta, q_1 - q_0, m) of the integrand over a block; the last is hard for a fit.
BLOCKS = [(0.5, 0.75, 0.2), (1.0, 0.5, 0.5), (2.0, 0.5, 0.3), (3.0, 0.25, 0.5)]


def gaussian_sum(exponent_of, variance, *, squares=2.0, points=4001):
    """ln of the integral of exp(exponent) exp(-z^2 / (squares v)) / sqrt(2 pi v), v = variance.

    A plain sum over an even grid; squares = 1 is the measure that the paper prints.
    """
    z = np.linspace(-25, 25, points)
    log_weights = -(z**2) / (squares * variance) - 0.5 * math.log(2 * math.pi * variance)
    return logsumexp(exponent_of(z) + log_weights, axis=-1) + math.log(z[1] - z[0])


def gaussian_mean(function, variance, *, squares=2.0, points=4001):
    """The integral of a function against the same measure."""
    z = np.linspace(-25, 25, points)
    weights = np.exp(-(z**2) / (squares * variance)) / math.sqrt(2 * math.pi * variance)
    return function(z) @ weights * (z[1] - z[0])


def symmetric(x, beta, q):
    """The integrand of SI Eq. (46), corrected: E_z ln sigma(2 beta (x + sqrt(q) z))."""
    x = np.asarray(x)[..., None]
    return gaussian_mean(lambda z: log_expit(2 * beta * (x + z)), q)


def symmetric_printed(x, beta, q):
    """SI Eq. (46) as printed: measure e^{-z^2/q}, sigma of beta (x + beta sqrt(q) z)."""
    x = np.asarray(x)[..., None]
    return gaussian_mean(lambda z: log_expit(beta * (x + beta * math.sqrt(q) * z)), q, squares=1.0)


def block(x, beta, variance, m):
    """The integrand of SI Eq. (47), corrected."""
    x = np.asarray(x)[..., None]
    return gaussian_sum(lambda y: m * beta * y - m * log_expit(2 * beta * (x + y)), variance)


def block_printed(x, beta, variance, m):
    """SI Eq. (47) as printed: e^{-z^2/D}, beta^2 m z, and ln sigma(beta x + beta^2 z)."""
    x = np.asarray(x)[..., None]
    return gaussian_sum(
        lambda z: beta**2 * m * z - m * log_expit(beta * x + beta**2 * z), variance, squares=1.0
    )
