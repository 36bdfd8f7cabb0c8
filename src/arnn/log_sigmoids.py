"""Nested log-sigmoids of one field, the functions that k-RSB nets are made of, and fits by them.

b0 + w0 ls(b1 + w1 ls(... ls(b_{k+1} + w_{k+1} x))),    ls(t) = log sigma(t)
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit, log_expit

from .hamiltonians import as_count, as_finite

_DEPTHS = (0.0, 3.0)  # of a new layer, from where a fit starts


def nested_log_sigmoids(x, parameters):
    """b0 + w0 ls(b1 + w1 ls(... ls(b_{k+1} + w_{k+1} x))), ls = log sigma; the form of SI Eq. (45).

    Args:
        x: the field, any shape.
        parameters: (b0, w0, b1, w1, ..., b_{k+1}, w_{k+1}), an even number of at least four.

    Returns:
        float64 array of the shape of x.

    Raises:
        ValueError: x or the parameters are not finite, or their number is not even or too small.
    """
    x, (*outer, (bias, weight)) = checked_fields(x), _checked_parameters(parameters)
    result = bias + weight * x
    for bias, weight in reversed(outer):
        result = bias + weight * log_expit(result)
    return result


def deepen(parameters, depth=1.0, layer=None):
    """The same function with one more layer, exactly: log-sigmoids of weight 1 compose.

    ls(t) = ln(1 + e^-a) + ls(a + ls(t - ln(1 + e^a))) for every a, since exp(-ls(t)) = 1 + e^-t.

    Args:
        parameters: as for `nested_log_sigmoids`.
        depth: a, the bias of the new layer, dimensionless.
        layer: which log-sigmoid becomes two, 1 for the outermost; None for the innermost.

    Returns:
        float64 array with two numbers more.

    Raises:
        ValueError: the parameters are not those of nested log-sigmoids, depth is not finite, or
            there is no such layer.
    """
    pairs, depth = _checked_parameters(parameters).copy(), as_finite("depth", depth)
    layer = len(pairs) - 1 if layer is None else as_count("layer", layer)
    if layer >= len(pairs):
        raise ValueError(f"layer must be at most {len(pairs) - 1}, not {layer}")
    pairs[layer - 1, 0] += pairs[layer - 1, 1] * np.logaddexp(0, -depth)
    pairs[layer, 0] -= np.logaddexp(0, depth)
    return np.insert(pairs, layer, (depth, 1.0), axis=0).ravel()


class ConvolutionFit(NamedTuple):
    """Nested log-sigmoids fitted to a function; calling it evaluates them.

    parameters is (b0, w0, b1, w1, ..., b_{k+1}, w_{k+1}); max_error and rms_error are the largest
    and the root-mean-square deviation on the grid of the fit.
    """

    parameters: np.ndarray
    max_error: float
    rms_error: float

    def __call__(self, x):
        """The fitted function at x, any shape."""
        return nested_log_sigmoids(x, self.parameters)


def fit_log_sigmoids(x, values, steps):
    """Least-squares fit of the values of a monotone function by steps + 1 nested log-sigmoids.

    Each layer more starts from the best fit with one less, written exactly by `deepen`: it never
    fits worse. The starts are fixed, and so is the result. Of a function that is not monotone, or
    that needs weights of both signs in its inner layers, the fit found may be a local optimum.

    Args:
        x: the grid (M,), of at least as many points as there are parameters.
        values: the function on it (M,).
        steps: k, at least 0.

    Returns:
        A `ConvolutionFit` of 2(k + 2) parameters.

    Raises:
        ValueError: steps is not an integer of at least 0, x or values are not finite, or their
            shapes do not fit each other and the number of parameters.
    """
    steps = as_count("steps", steps, at_least=0)
    x, values = checked_fields(x), _finite_array("values", values)
    if x.ndim != 1 or len(np.unique(x)) < 2 * (steps + 2):
        raise ValueError(f"x must be a vector of at least {2 * (steps + 2)} different fields")
    if values.shape != x.shape:
        raise ValueError(f"values must have the shape of x, {x.shape}, not {values.shape}")
    best = _descend(x, values, _shallow_starts(x, values))
    for layers in range(1, steps + 1):
        starts = [
            deepen(best.x, depth, layer) for layer in range(1, layers + 1) for depth in _DEPTHS
        ]
        best = _descend(x, values, starts)
    return ConvolutionFit(best.x, float(np.abs(best.fun).max()), math.sqrt(np.mean(best.fun**2)))


def _descend(x, values, starts):
    """The best of the least-squares solutions from all starts."""
    solutions = [
        least_squares(
            lambda p: nested_log_sigmoids(x, p) - values,
            start,
            lambda p: _jacobian(x, p),
            method="lm",
            x_scale="jac",
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-14,
            max_nfev=2000,
        )
        for start in starts
    ]
    return min(solutions, key=lambda solution: solution.cost)


def _jacobian(x, parameters):
    """Derivatives of `nested_log_sigmoids` by its parameters, (M, 2(k + 2))."""
    pairs = parameters.reshape(-1, 2)
    inputs, sums = [x], []
    for bias, weight in reversed(pairs):
        sums.append(bias + weight * inputs[-1])
        inputs.append(log_expit(sums[-1]))
    columns, outer = [], np.ones_like(x)
    # The innermost layer stands first in both lists; the columns run from the outermost one.
    for layer, (_, weight) in enumerate(pairs):
        depth = len(pairs) - 1 - layer
        columns += [outer, outer * inputs[depth]]
        outer = outer * weight * expit(-sums[depth - 1])
    return np.stack(columns, axis=1)


def _shallow_starts(x, values):
    """Starts (b0, w0, b1, w1): the best three of a few steps ls(w1 (x - centre)) at fixed w1."""
    half, middle = 0.5 * np.ptp(x), 0.5 * (x.min() + x.max())
    starts = []
    for centre, rate, sign in itertools.product((-0.5, 0.0, 0.5), (2.0, 8.0, 32.0), (1, -1)):
        weight = sign * rate / half
        bias = -weight * (middle + centre * half)
        design = np.stack([np.ones_like(x), log_expit(bias + weight * x)], axis=1)
        outer = np.linalg.lstsq(design, values, rcond=None)[0]
        starts.append((np.sum((design @ outer - values) ** 2), [*outer, bias, weight]))
    return [start for _, start in sorted(starts)[:3]]


def checked_fields(x):
    """x as a float64 array, or a ValueError unless it is finite."""
    return _finite_array("x", x)


def _finite_array(name, values):
    try:
        values = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return values


def _checked_parameters(parameters):
    """(b0, w0, b1, w1, ...) as an array of pairs."""
    parameters = _finite_array("parameters", parameters)
    if parameters.ndim != 1 or len(parameters) < 4 or len(parameters) % 2:
        raise ValueError(
            "parameters must be a vector of an even number of at least four, "
            f"not of shape {parameters.shape}"
        )
    return parameters.reshape(-1, 2)
