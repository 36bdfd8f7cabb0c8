"""Autocorrelation, errors of means and equilibration on processes that are known in closed form."""

import math

import numpy as np
import pytest

from arnn.time_series import (
    autocorrelation,
    autocorrelation_time,
    doubling_means,
    mean_with_error,
)


def autoregressive(a, samples, chains, seed):
    """x_t = a x_{t-1} + noise, stationary from the start, variance 1: rho(t) = a^t."""
    rng = np.random.default_rng(seed)
    x = np.empty((chains, samples))
    x[:, 0] = rng.normal(size=chains)
    for t in range(1, samples):
        x[:, t] = a * x[:, t - 1] + math.sqrt(1 - a * a) * rng.normal(size=chains)
    return x


@pytest.mark.parametrize("a", [-0.5, 0.0, 0.6, 0.95])
def test_autocorrelation_time_of_an_autoregressive_process(a):
    result = autocorrelation_time(autoregressive(a, 20_000, 5, seed=1))
    tau = 0.5 * (1 + a) / (1 - a)
    assert abs(result.tau - tau) < 4 * result.error
    assert result.error < 0.08 * tau
    assert result.window >= 6 * result.tau


def test_its_stated_error_is_honest():
    a, tau = 0.8, 4.5
    results = [autocorrelation_time(autoregressive(a, 4000, 1, seed)) for seed in range(150)]
    spread = np.std([r.tau for r in results])
    assert np.mean([r.error for r in results]) == pytest.approx(spread, rel=0.25)
    # the window leaves out a tail of about e^-6, and the mean is taken from the same samples
    assert np.mean([r.tau for r in results]) == pytest.approx(tau, rel=0.03)


def test_one_chain_may_be_given_without_the_axis_of_chains():
    x = autoregressive(0.7, 3000, 1, seed=2)
    assert autocorrelation_time(x) == autocorrelation_time(x[0])


def test_autocorrelation_is_that_of_the_process():
    rho = autocorrelation(autoregressive(0.8, 50_000, 4, seed=3), 12)
    assert rho.shape == (13,)
    assert rho[0] == 1
    assert rho == pytest.approx(0.8 ** np.arange(13), abs=0.03)


def test_autocorrelation_by_plain_sums():
    x = np.random.default_rng(4).normal(size=(2, 9)).cumsum(1)
    y = x - x.mean()
    c = [np.mean([np.mean(row[: 9 - t] * row[t:]) for row in y]) for t in range(9)]
    assert autocorrelation(x, 8) == pytest.approx(np.array(c) / c[0], abs=1e-12)


@pytest.mark.parametrize("a", [0.0, 0.8])
def test_the_error_of_a_mean_is_honest(a):
    pulls = []
    for seed in range(200):
        mean, error = mean_with_error(autoregressive(a, 2000, 8, seed))
        pulls.append(mean / error)
    assert abs(np.mean(pulls)) < 4 / math.sqrt(200)
    assert 0.88 < np.std(pulls) < 1.12


def test_chains_in_different_valleys_have_the_error_of_their_number():
    """Each chain decorrelates at once, but about a mean of its own."""
    rng = np.random.default_rng(5)
    valleys = rng.normal(size=(16, 1))
    mean, error = mean_with_error(valleys + 0.1 * rng.normal(size=(16, 5000)))
    assert error == pytest.approx(valleys.std(ddof=1) / 4, rel=0.05)
    assert abs(mean - valleys.mean()) < 0.01


def test_a_constant_has_no_error():
    assert mean_with_error(np.full((3, 10), 2.5)) == (2.5, 0.0)


def test_doublings_are_means_over_windows():
    x = np.arange(20.0)[None] + np.array([[0.0], [2.0]])
    result = doubling_means(x)
    assert result.start.tolist() == [0, 1, 2, 4, 8]
    assert result.end.tolist() == [1, 2, 4, 8, 16]
    assert result.mean.tolist() == [1, 2, 3.5, 6.5, 12.5]
    assert result.error == pytest.approx(np.ones(5), abs=1e-12)  # sqrt(2) / sqrt(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: autocorrelation_time("abcd"), "series must be an array of numbers"),
        (lambda: autocorrelation_time([1, 2]), "with at least 4 samples"),
        (lambda: autocorrelation_time(np.zeros((2, 3, 4))), "series must have shape"),
        (lambda: autocorrelation_time([1, 2, math.nan, 3]), "series must be finite"),
        (lambda: autocorrelation_time([2, 2, 2, 2]), "series must vary"),
        (lambda: autocorrelation([1, 2, 1, 2], 4), "lags must be below the 4 samples"),
        (lambda: autocorrelation([1, 2, 1, 2], -1), "lags must be an integer"),
        (lambda: doubling_means([1, 2, 3, 4]), "at least two chains"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
