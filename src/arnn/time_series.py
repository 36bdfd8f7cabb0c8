"""Correlated samples: autocorrelation, integrated times, errors of means, tests of equilibration.

A series is an array (samples,) or (chains, samples), one number for each recorded time; chains are
independent of each other and share one mean.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from .hamiltonians import as_count


class AutocorrelationTime(NamedTuple):
    """The integrated autocorrelation time, in steps of the series; 1/2 for independent samples."""

    tau: float
    error: float
    window: int  # lags summed


class MeanEstimate(NamedTuple):
    """A mean with its standard error."""

    mean: float
    error: float


class Doublings(NamedTuple):
    """Averages over successive doublings of time; all arrays (windows,)."""

    start: np.ndarray  # windows are [start, end), in steps of the series
    end: np.ndarray
    mean: np.ndarray
    error: np.ndarray  # standard error over the chains


def as_series(series):
    """The series as a float array (chains, samples), or a ValueError that says what is wrong."""
    try:
        values = np.asarray(series, dtype=float)
    except (TypeError, ValueError):
        raise ValueError("series must be an array of numbers") from None
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or values.shape[1] < 4:
        raise ValueError(
            "series must have shape (samples,) or (chains, samples) with at least 4 samples, "
            f"not {np.shape(series)}"
        )
    if not np.isfinite(values).all():
        raise ValueError("series must be finite, but holds NaN or infinity")
    return values


def _autocovariance(values):
    """Autocovariances (samples,) about the common mean, averaged over the chains."""
    samples = values.shape[1]
    size = 1 << (2 * samples - 1).bit_length()  # zero-padded: lags must not wrap around
    total, mean = np.zeros(size // 2 + 1), values.mean()
    for chain in values:
        total += np.abs(np.fft.rfft(chain - mean, size)) ** 2
    return np.fft.irfft(total, size)[:samples] / (len(values) * np.arange(samples, 0, -1))


def autocorrelation(series, lags):
    """The autocorrelation rho(t) = C(t) / C(0) at lags t = 0 .. lags, an array (lags + 1,).

    Raises:
        ValueError: the series is no array of numbers that vary, or is not longer than `lags`.
    """
    values, lags = as_series(series), as_count("lags", lags, at_least=0)
    if lags >= values.shape[1]:
        raise ValueError(f"lags must be below the {values.shape[1]} samples, not {lags}")
    covariance = _autocovariance(values)
    _require_variation(values, covariance[0])
    return covariance[: lags + 1] / covariance[0]


def _require_variation(values, variance):
    if not variance > 1e-24 * np.abs(values).max() ** 2:
        raise ValueError("series must vary, but all its values are equal")


def autocorrelation_time(series, *, window_factor=6.0):
    """tau = 1/2 + sum_{t >= 1} rho(t), so that the variance of the mean is 2 tau C(0) / samples.

    In a chain of S samples rho(t) counts (1 - t/S) times, which makes the variance that of the mean
    even if the chain is hardly longer than tau.

    The sum ends at the first lag W >= window_factor * max(tau(W), 1): Sokal's rule, by which
    neither the tail left out nor the noise let in matters. The error is that of Madras and Sokal
    (1988), tau sqrt(2 (2W + 1) / samples), samples counted over all chains.

    Args:
        series: (samples,) or (chains, samples).
        window_factor: Sokal's c; 6 suits an exponential decay.

    Raises:
        ValueError: the series is no array of numbers that vary.
    """
    values = as_series(series)
    covariance = _autocovariance(values)
    _require_variation(values, covariance[0])
    fewer_pairs = 1 - np.arange(len(covariance)) / len(covariance)
    taus = np.cumsum(fewer_pairs * covariance / covariance[0]) - 0.5
    # At least `window_factor` lags, or an alternating series would be cut off at its first dip.
    enough = np.arange(len(taus)) >= window_factor * np.maximum(taus, 1)
    window = int(np.argmax(enough)) if enough.any() else len(taus) - 1
    tau = max(float(taus[window]), 0.5 / values.size)
    return AutocorrelationTime(tau, tau * math.sqrt(2 * (2 * window + 1) / values.size), window)


def mean_with_error(series):
    """The mean of a correlated series and its standard error.

    The error comes from the integrated autocorrelation time, with a wide window, about the common
    mean of all chains. If the chains' own means scatter more than this error allows (by more than
    chance does once in a thousand times), the chains have not forgotten where they started, and
    the error is that of their scatter: chains that sit in different valleys count once each.

    Args:
        series: (samples,) or (chains, samples).

    Raises:
        ValueError: the series is no array of numbers.
    """
    values = as_series(series)
    mean, chains = float(values.mean()), len(values)
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return MeanEstimate(mean, 0.0)
    tau = autocorrelation_time(values, window_factor=15).tau
    variance = 2 * tau / values.size * float(values.var())
    if chains > 1:
        scatter = float(values.mean(1).var(ddof=1)) / chains
        if scatter > variance * chi2.isf(1e-3, chains - 1) / (chains - 1):
            variance = scatter
    return MeanEstimate(mean, math.sqrt(variance))


def doubling_means(series):
    """Averages over the windows [0,1), [1,2), [2,4), [4,8), ... of a series that starts unmixed.

    In equilibrium all windows agree. As long as two successive windows differ by more than their
    errors, the series is too short, and everything before the windows that agree must be thrown
    away.

    Args:
        series: (chains, samples), recorded from the very start, at least two chains.

    Raises:
        ValueError: the series has another shape.
    """
    values = as_series(series)
    if len(values) < 2:
        raise ValueError("series must have at least two chains, whose scatter is the error")
    edges = [0] + [2**k for k in range(values.shape[1].bit_length())]
    means = np.array([values[:, a:b].mean(1) for a, b in pairwise(edges)])
    return Doublings(
        np.array(edges[:-1]),
        np.array(edges[1:]),
        means.mean(1),
        means.std(1, ddof=1) / math.sqrt(len(values)),
    )
