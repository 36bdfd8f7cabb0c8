"""The inverse problem: couplings from samples (Paper, Fig. 6), and how to compare them.

The first layer of a network that learned from samples is compared with the true couplings by
`align_rows` and `correlation`; `pseudo_likelihood` is the estimate of the couplings that needs no
network.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit, log_expit

from .hamiltonians import as_count, as_finite
from .likelihood import as_samples


class PseudoLikelihood(NamedTuple):
    """Couplings and fields from samples, in units of the temperature: beta J_ij and beta h_i."""

    couplings: np.ndarray  # (n, n), symmetric, zero diagonal
    fields: np.ndarray  # (n,)
    asymmetry: np.ndarray  # (n, n), the two estimates of a coupling are couplings +- asymmetry


class Alignment(NamedTuple):
    """Weights (n, n) with one sign, or one sign and scale, chosen for each row; what was chosen."""

    signed: np.ndarray
    scaled: np.ndarray
    signs: np.ndarray  # (n,), +-1
    scales: np.ndarray  # (n,), positive


def pseudo_likelihood(samples, l2=0.0, *, tolerance=1e-8, max_iterations=100):
    """Inverse Ising by pseudo-likelihood: one logistic regression for each spin on all the others.

    P(x_i | all others) = sigma(2 x_i (beta h_i + sum_j beta J_ij x_j)) is exact and holds no Z, so
    its maximum over the n numbers of spin i is a consistent estimate (Besag 1975; Aurell and
    Ekeberg 2012). Each coupling is estimated twice, and the mean is returned. Newton's method with
    halved steps, in float64.

    Args:
        samples: (M, n) of +-1.
        l2: the penalty l2 * sum_j (beta J_ij)^2 is added to the mean negative log-likelihood.
        tolerance: a spin is done when no component of its gradient is larger.
        max_iterations: of Newton's method, for each spin.

    Returns:
        `PseudoLikelihood`.

    Raises:
        ValueError: the samples are not +-1 of shape (M, n) with n >= 2, l2 is negative, or the
            likelihood of a spin has no maximum because the samples separate it; l2 > 0 mends that.
    """
    x = as_samples("samples", samples).cpu().numpy().astype(float)
    if x.shape[1] < 2:
        raise ValueError("samples must be of at least two spins")
    if as_finite("l2", l2) < 0:
        raise ValueError(f"l2 must not be negative, not {l2!r}")
    max_iterations = as_count("max_iterations", max_iterations)
    inputs = x.copy()
    rows, fields = np.zeros((x.shape[1],) * 2), np.zeros(x.shape[1])
    for i in range(x.shape[1]):
        spin, inputs[:, i] = x[:, i], 1.0  # the constant input of the field takes the spin's place
        numbers = _logistic_regression(inputs, spin, i, float(l2), tolerance, max_iterations)
        fields[i], numbers[i], inputs[:, i] = numbers[i], 0.0, spin
        rows[i] = numbers
    return PseudoLikelihood((rows + rows.T) / 2, fields, (rows - rows.T) / 2)


def _logistic_regression(inputs, spin, i, l2, tolerance, max_iterations):
    """The numbers (n,) that minimise the mean of -ln sigma(2 spin inputs @ numbers) + l2 |.|^2.

    The number i, of the constant input, carries no penalty.
    """
    penalty = np.full(inputs.shape[1], l2)
    penalty[i] = 0.0

    def loss(numbers):
        margins = 2 * spin * (inputs @ numbers)
        return -log_expit(margins).mean() + penalty @ numbers**2, margins

    numbers = np.zeros(inputs.shape[1])
    value, margins = loss(numbers)
    for _ in range(max_iterations):
        p = expit(-margins)
        gradient = -2 * (spin * p) @ inputs / len(spin) + 2 * penalty * numbers
        if abs(gradient).max() <= tolerance and value > tolerance:
            return numbers
        half = inputs * np.sqrt(p * (1 - p) * 4 / len(spin))[:, None]
        curvature = half.T @ half + 2 * np.diag(penalty)
        curvature[np.diag_indices_from(curvature)] += 1e-12  # where the samples do not bind
        step = np.linalg.solve(curvature, -gradient)
        size = 1.0
        while size > 1e-8:
            trial = numbers + size * step
            new, new_margins = loss(trial)
            if new <= value + 1e-4 * size * (gradient @ step) + 1e-15:
                break
            size /= 2
        numbers, value, margins = trial, new, new_margins
        if abs(numbers).max() > 50:
            break
    raise ValueError(
        f"the samples separate spin {i}: its likelihood grows without end; "
        "take more samples, or l2 > 0"
    )


def align_rows(weights, couplings):
    """Choose one sign, and one sign and scale, for each row so as to fit the couplings best.

    Row l is the vector of weights w_sl, s < l, that make the field xi_il on spin l; a network with
    xi_il -> c_l xi_il and the numbers that follow it divided by c_l is the same distribution, so
    its samples say nothing about the c_l. The choice looks at the true couplings: unrelated weights
    get a positive correlation as well, about 1.06 / sqrt(n) with signs and sqrt(2 / n) with scales.

    Args:
        weights: (n, n), w_sl in row s and column l; the lower triangle is ignored.
        couplings: (n, n), the true ones.

    Returns:
        `Alignment`; its matrices are strictly upper triangular.

    Raises:
        ValueError: the shapes are not (n, n).
    """
    w, true = (np.triu(_square(m), 1) for m in (weights, couplings))
    if w.shape != true.shape:
        raise ValueError(f"weights and couplings differ in shape: {w.shape} and {true.shape}")
    overlap, norm = (w * true).sum(0), (w**2).sum(0)
    signs = np.where(overlap < 0, -1.0, 1.0)
    # A row without weights, or without overlap, keeps the scale 1: nothing can be fitted to it.
    fitted = (norm > 0) & (overlap != 0)
    scales = np.where(fitted, abs(overlap) / np.where(norm > 0, norm, 1), 1.0)
    return Alignment(w * signs, w * signs * scales, signs, scales)


def correlation(weights, couplings, *, absolute=False):
    """Pearson's correlation over the pairs s < l of two matrices (n, n), a float.

    Args:
        weights, couplings: (n, n); the lower triangles are ignored.
        absolute: of the absolute values, as in Paper Fig. 6.

    Raises:
        ValueError: the shapes differ, are not (n, n), or n < 3.
    """
    w, true = _square(weights), _square(couplings)
    if w.shape != true.shape or len(w) < 3:
        raise ValueError(f"need two (n, n) matrices with n >= 3, not {w.shape} and {true.shape}")
    upper = np.triu_indices(len(w), 1)
    pairs = np.stack([w[upper], true[upper]])
    return float(np.corrcoef(abs(pairs) if absolute else pairs)[0, 1])


def _square(matrix):
    if torch.is_tensor(matrix):
        matrix = matrix.detach().cpu()
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"weights and couplings must be (n, n), not {matrix.shape}")
    return matrix
