"""Averages over Gaussian variables to rounding error: the quadrature rule of the replica method.

Every integrand there is a smooth function of beta * sigma * z, z a standard normal variable, made
of ln cosh and its kin, whose nearest singularities in the complex plane lie at +-i pi/2.
"""

import math

import numpy as np

from .hamiltonians import as_finite

# Exponent of the error, e^-40 < 5e-18 for an integrand of order 1 in the strip, and where a
# standard normal variable is cut off.
_DIGITS, _CUT = 40.0, 9.0


def gaussian_rule(slope, tilt=0.0):
    """Nodes and weights for E_z g(slope * z), z standard normal, g analytic for |Im| < pi/2.

    The trapezoidal rule on an even grid. For an integrand that is analytic in the strip
    |Im z| < a = pi / (2 slope) its error is exp(a^2/2 - 2 pi a / h) at step h (Trefethen and
    Weideman, 2014), from which the step follows; Gauss-Hermite rules converge far more slowly here
    once the slope exceeds 1.

    Args:
        slope: beta * sigma, the scale of the argument per unit of z, dimensionless, at least 0.
        tilt: the integrand may grow as exp(tilt * |z|), at least 0; (2 cosh(slope z))^m has
            tilt = m * slope.

    Returns:
        z (M,) symmetric about 0, and weights (M,) that sum to 1; float64. One node if slope is 0.

    Raises:
        ValueError: slope or tilt is negative or not finite.
    """
    for name, value in (("slope", slope), ("tilt", tilt)):
        if as_finite(name, value) < 0:
            raise ValueError(f"{name} must not be negative, but is {value!r}")
    if slope == 0:
        return np.zeros(1), np.ones(1)
    # Beyond a = 2 pi / h the Gaussian itself limits the step, to sqrt(2 pi^2 / digits).
    strip = min(math.pi / (2 * slope), math.sqrt(2 * _DIGITS))
    step = 2 * math.pi * strip / (_DIGITS + strip**2 / 2)
    half = math.ceil((_CUT + tilt) / step)
    z = step * np.arange(-half, half + 1)
    weights = np.exp(-0.5 * z**2)
    return z, weights / weights.sum()
