"""The nested Gaussian averages of the replica method, level by level, with their derivatives.

The innermost function is ln 2cosh(beta x). A level j = k, ..., 1 makes of g_{j+1} the function
g_j(x) = 1/m_j ln E_z exp[m_j g_{j+1}(x + sqrt(q_j - q_{j-1}) z)], z standard normal, and the last
one, j = 0, is a plain average at variance q_0.
"""

import math
from typing import NamedTuple

import numpy as np

from .quadrature import gaussian_rule

_LARGEST_GRID = 30000  # steps from the centre of the grid to its end


class Averages(NamedTuple):
    """What one pass through the levels of the recursion yields, for each of L fields.

    M_{j+1} is the mean of tanh(beta x) over the levels beyond j, with their weights.
    """

    g: np.ndarray  # E_z g_1(h + sqrt(q_0) z), (L,)
    magnetisation: np.ndarray  # its derivative by beta h, (L,)
    squares: np.ndarray  # E M_{j+1}^2 for j = 0..k, (k+1, L)
    by_m: np.ndarray  # d g / d m_j for j = 1..k, (k, L); zero where m_j is
    fourth: np.ndarray  # E sech^4 of the innermost argument, (L,)


def averages(beta, fields, q, m):
    """Work the recursion from the innermost level, j = k, out to the fields.

    Each g_j is a function of one variable, kept on an even grid common to all levels. A Gaussian
    average is a weighted sum over a window of the grid, exact to rounding wherever the Gaussian is
    centred, so that the last level can end at the fields themselves (SI Secs. III.A and III.B).

    Args:
        beta: inverse temperature.
        fields: h_l, an array (L,).
        q: overlaps q_0 <= q_1 <= ... <= q_k, an array (k+1,).
        m: block parameters, (k,); m[j-1] goes with q[j] - q[j-1], and 0 stands for the limit.

    Returns:
        `Averages`, dimensionless, from which `arnn.replica` makes free energies and their slopes.

    Raises:
        ValueError: neighbours in q differ, but by so little that the grid would have no end. The
            callers in `arnn.replica` check all else.
    """
    sigmas, tilts = np.sqrt(np.diff(q, prepend=0.0)), np.append(0.0, m)
    step, halves = _grid(beta, sigmas, tilts)

    def points(level):
        """Where functions are needed once the levels beyond `level` are averaged over."""
        reach = sum(halves[: level + 1])
        if reach == 0:
            return fields
        first, last = math.floor(fields.min() / step), math.ceil(fields.max() / step)
        return step * np.arange(first - reach, last + reach + 1)

    x = points(len(m))
    g = np.logaddexp(beta * x, -beta * x)
    magnetisation = np.tanh(beta * x)
    done = {"fourth": (1 - magnetisation**2) ** 2}  # averaged over the levels so far
    for j in range(len(m), -1, -1):
        done["square", j] = magnetisation**2
        by_m = np.zeros_like(x)
        if sigmas[j] > 0:
            target = points(j - 1)
            if target is fields:
                gather, smooth = _at_fields(x, fields, halves[j], sigmas[j])
            else:
                gather, smooth = _on_grid(step, halves[j], sigmas[j])
            rows = [gather(row) for row in (magnetisation, *done.values())]
            g, by_m, rows = _tilted_means(gather(g), rows, tilts[j], smooth)
            magnetisation, done, x = rows[0], dict(zip(done, rows[1:], strict=True)), target
        if j > 0:
            done["by m", j] = by_m
    squares = np.array([done["square", j] for j in range(len(q))])
    by_m = np.array([done["by m", j] for j in range(1, len(q))]).reshape(len(m), len(fields))
    return Averages(g, magnetisation, squares, by_m, done["fourth"])


def _grid(beta, sigmas, tilts):
    """The common step of all levels, and how many steps each level's window extends to a side."""
    rules = [gaussian_rule(beta * s, m * beta * s)[0] for s, m in zip(sigmas, tilts, strict=True)]
    spans = [(s * z[-1], s * (z[-1] - z[-2])) for s, z in zip(sigmas, rules, strict=True) if s > 0]
    step = min((spacing for _, spacing in spans), default=1.0)
    if sum(reach for reach, _ in spans) / step > _LARGEST_GRID:
        raise ValueError(
            "q must not have neighbours that differ by so little unless they are equal: "
            f"{(sigmas**2).cumsum()}"
        )
    return step, [math.ceil(s * z[-1] / step) for s, z in zip(sigmas, rules, strict=True)]


def _on_grid(step, half, sigma):
    """An average at each point of the grid that has its whole window on the grid."""
    kernel = np.exp(-0.5 * (step * np.arange(-half, half + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    return lambda row: row, lambda row: np.correlate(row, kernel, "valid")


def _at_fields(x, fields, half, sigma):
    """An average about each field: windows (L, width) of the grid, and weighted sums of them."""
    start = np.rint((fields - x[0]) / (x[1] - x[0])).astype(int) - half
    places = start[:, None] + np.arange(2 * half + 1)
    weights = np.exp(-0.5 * ((x[places] - fields[:, None]) / sigma) ** 2)
    weights /= weights.sum(1, keepdims=True)
    return lambda row: row[places], lambda rows: (weights * rows).sum(1)


def _tilted_means(g, rows, m, smooth):
    """One level: (1/m) ln E exp(m g), its derivative by m, and the means of rows under exp(m g)."""
    if m == 0:
        return smooth(g), smooth(np.zeros_like(g)), [smooth(row) for row in rows]
    top = g.max(-1, keepdims=True)
    exponent = m * (g - top)
    if exponent.min() > -0.5:  # for m -> 0, where the logarithm below loses its digits
        log_mean = np.log1p(smooth(np.expm1(exponent)))
    else:
        log_mean = np.log(smooth(np.exp(exponent)))
    weights, norm = np.exp(exponent), np.exp(log_mean)
    mean = smooth(weights * exponent) / norm
    by_m = (mean - log_mean) / m**2
    return top[..., 0] + log_mean / m, by_m, [smooth(weights * row) / norm for row in rows]
