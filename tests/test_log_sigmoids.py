"""Nested log-sigmoids: the form, its exact deepening, and least-squares fits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arnn.convolutions import gaussian_convolution
from arnn.log_sigmoids import deepen, fit_log_sigmoids, nested_log_sigmoids

X = np.linspace(-4, 4, 81)


def ls(t):
    return -math.log1p(math.exp(-t))


def test_the_form_in_python_numbers():
    b0, w0, b1, w1, b2, w2 = 0.3, -1.2, 0.5, 0.7, -0.4, 1.1
    for x in (-2.0, 0.0, 1.5):
        truth = b0 + w0 * ls(b1 + w1 * ls(b2 + w2 * x))
        assert nested_log_sigmoids(x, (b0, w0, b1, w1, b2, w2)) == pytest.approx(truth, abs=1e-14)
        truth = b0 + w0 * ls(b1 + w1 * x)
        assert nested_log_sigmoids(x, (b0, w0, b1, w1)) == pytest.approx(truth, abs=1e-14)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    pairs=st.lists(st.tuples(st.floats(-3, 3), st.floats(-2, 2)), min_size=2, max_size=4),
    depth=st.floats(-5, 5),
    data=st.data(),
)
def test_one_more_layer_of_the_same_function(pairs, depth, data):
    layer = data.draw(st.one_of(st.none(), st.integers(1, len(pairs) - 1)))
    parameters = np.ravel(pairs)
    deeper = deepen(parameters, depth, layer)
    assert len(deeper) == len(parameters) + 2
    truth = nested_log_sigmoids(X, parameters)
    assert nested_log_sigmoids(X, deeper) == pytest.approx(truth, abs=1e-11)


def test_a_new_layer_has_the_weight_and_the_bias_that_were_asked_for():
    inner = deepen([0.1, 2.0, 0.3, 1.5], 0.8)
    assert inner[2:4].tolist() == [0.8, 1.0]
    middle = deepen([0.1, 2.0, 0.3, 1.5, 0.2, 0.9], 0.8, layer=1)
    assert middle[2:4].tolist() == [0.8, 1.0]
    assert middle[-2:].tolist() == [0.2, 0.9]


@pytest.mark.parametrize("k", [0, 1])
def test_a_fit_recovers_a_member_of_the_family(k):
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(8):
        parameters = np.stack([rng.normal(size=k + 2), rng.uniform(0.3, 2, k + 2)], 1).ravel()
        errors.append(fit_log_sigmoids(X, nested_log_sigmoids(X, parameters), k).max_error)
    assert np.median(errors) < 1e-12
    assert max(errors) < 5e-5


def test_a_fit_recovers_falling_and_shifted_steps():
    for parameters in ([2.0, -1.5, 3.0, 2.0], [0.0, 1.0, -4.0, -1.5], [1.0, 0.02, 9.0, 8.0]):
        values = nested_log_sigmoids(X, parameters)
        fit = fit_log_sigmoids(X, values, 0)
        assert fit.max_error < 1e-11
        assert fit.parameters == pytest.approx(parameters, abs=1e-6)


@pytest.mark.parametrize(("beta", "q"), [(0.5, 0.25), (1.0, 1.0), (3.0, 0.75)])
def test_more_layers_never_fit_worse(beta, q):
    values = gaussian_convolution(X, beta, q)
    errors = [fit_log_sigmoids(X, values, k).rms_error for k in range(4)]
    assert np.all(np.diff(errors) <= 0)
    assert errors[1] < 0.8 * errors[0]


def test_errors_are_those_on_the_grid():
    values = gaussian_convolution(X, 2.0, 0.5)
    fit = fit_log_sigmoids(X, values, 1)
    residual = nested_log_sigmoids(X, fit.parameters) - values
    assert fit.max_error == pytest.approx(np.abs(residual).max(), rel=1e-9)
    assert fit.rms_error == pytest.approx(math.sqrt(np.mean(residual**2)), rel=1e-9)
    assert fit(0.3) == nested_log_sigmoids(0.3, fit.parameters)


def test_a_fit_is_a_stationary_point():
    """No parameter can move a little and lower the error, neither alone nor at random."""
    values = gaussian_convolution(X, 2.0, (0.2, 0.8), (0.4,))
    fit = fit_log_sigmoids(X, values, 1)
    rng = np.random.default_rng(0)
    for direction in [*np.eye(6), *rng.normal(size=(10, 6))]:
        for step in (1e-3, -1e-3):
            moved = nested_log_sigmoids(X, fit.parameters + step * direction) - values
            assert math.sqrt(np.mean(moved**2)) > fit.rms_error


def test_a_fit_is_the_same_each_time():
    values = gaussian_convolution(X, 1.0, 0.5)
    first, second = (fit_log_sigmoids(X, values, 1).parameters for _ in range(2))
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(
    ("x", "values", "steps", "message"),
    [
        (X, X, -1, "steps must be an integer of at least 0"),
        (X, X, 1.5, "steps must be an integer"),
        (X, X[1:], 0, "values must have the shape of x"),
        (X, np.full(81, math.nan), 0, "values must be finite"),
        (X, None, 0, "values must be finite"),
        (np.full(81, math.inf), X, 0, "x must be finite"),
        (np.zeros(9), np.zeros(9), 0, "at least 4 different fields"),
        (X[:5], X[:5], 1, "at least 6 different fields"),
        (X[:, None], X[:, None], 0, "x must be a vector"),
    ],
)
def test_wrong_input_of_a_fit(x, values, steps, message):
    with pytest.raises(ValueError, match=message):
        fit_log_sigmoids(x, values, steps)


@pytest.mark.parametrize("parameters", [[1.0, 2.0], [1.0] * 5, [[1.0, 2.0], [3.0, 4.0]], "abcd"])
def test_wrong_parameters(parameters):
    with pytest.raises(ValueError, match="parameters must be"):
        nested_log_sigmoids(X, parameters)


def test_wrong_layers():
    with pytest.raises(ValueError, match="layer must be at most 1, not 2"):
        deepen([0, 1, 0, 1], layer=2)
    with pytest.raises(ValueError, match="layer must be an integer of at least 1"):
        deepen([0, 1, 0, 1], layer=0)
    with pytest.raises(ValueError, match="depth must be a finite number"):
        deepen([0, 1, 0, 1], math.inf)
    with pytest.raises(ValueError, match="parameters must be finite"):
        deepen([0, 1, 0, math.nan])
