"""Replica-symmetric and k-step broken free energies of the SK model and of its sub-systems.

A sub-system is what a conditional of the SK model sums over (Paper, Sec. III.B): L spins in given
fields h_l, coupled by Gaussian J_ll' of variance 1/n, where n counts the spins of the whole system.
The replica method gives the average of ln rho over those J_ll' as the extremum of

    n beta^2/4 [(L/n - q_k)^2 - sum_j m_j (q_j^2 - q_{j-1}^2)] + sum_l E_z g_1(h_l + sqrt(q_0) z),

with the functions g_j of `arnn.parisi`, over q_0 <= ... <= q_k and m_1, ..., m_k (SI Secs. III.A
and III.B, corrected). k = 0 is the replica-symmetric solution. With L = n = 1 it is the free energy
per spin of the whole model, times -beta. The convolutions of `arnn.convolutions` are at hand here.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, root

from .convolutions import fit_convolution, gaussian_convolution
from .hamiltonians import as_count, as_finite, as_positive
from .log_sigmoids import ConvolutionFit
from .parisi import averages

__all__ = [
    "ConvolutionFit",
    "Solution",
    "SubsystemSolution",
    "fit_convolution",
    "free_energy",
    "gaussian_convolution",
    "log_rho",
    "replicon",
    "stationarity",
    "subsystem",
]

TOLERANCE = 1e-9  # how well the saddle equations must hold

_MERGED = 1e-7  # overlaps closer than this are one overlap to the solver
# Near the critical temperature rounding would spoil a Jacobian by smaller differences than 1e-4.
_NEWTON = {"factor": 0.3, "maxfev": 400, "eps": 1e-8}
_STEEPEST = 25.0  # of m beta sigma; beyond, the weights of a level underflow


class Solution(NamedTuple):
    """A saddle point of the SK model: free energy f, energy and entropy per spin, order parameters.

    `q` is (k+1,), `m` is (k,); `residual` says how well the saddle equations hold.
    """

    f: float
    q: np.ndarray
    m: np.ndarray
    energy: float
    entropy: float
    residual: float


class SubsystemSolution(NamedTuple):
    """A saddle point of a sub-system: ln rho, order parameters `q` (k+1,), `m` (k,), residual."""

    log_rho: float
    q: np.ndarray
    m: np.ndarray
    residual: float


def free_energy(beta, steps=0, *, field=0.0):
    """The free energy per spin of the SK model in the k-step solution, k = `steps`.

    f = - lim E[ln Z] / (beta n) at couplings of variance 1/n and a uniform field; steps = 0 is the
    replica-symmetric solution. Where that solution is stable (beta <= 1 at zero field) the broken
    ones coincide with it: all q are equal and m_j, which then matter to nothing, are 1.

    Args:
        beta: inverse temperature. `steps` up to 3 is quick below beta = 10, one step below 50.
        field: the same for every spin.

    Raises:
        ValueError: beta is not positive, steps is not an integer >= 0, field is not finite.
        RuntimeError: no saddle point was found at which the equations hold to `TOLERANCE`, as may
            happen just beyond the instability of the symmetric solution, where all q nearly merge:
            without field at 1 < beta < 1.02, in fields while the replicon is above about -0.05.
    """
    beta, field = as_positive("beta", beta), as_finite("field", field)
    phi, q, m, residual = subsystem(beta, [field], 1, steps)
    levels = np.append(q[0] ** 2, np.diff(q**2) * (1 - m))
    magnetisation = averages(beta, np.array([field]), q, m).magnetisation[0]
    energy = -0.5 * beta * (1 - levels.sum()) - field * magnetisation
    return Solution(-phi / beta, q, m, energy, beta * energy + phi, residual)


def log_rho(beta, fields, n, q, m=()):
    """ln rho by replicas, at given order parameters (SI Eq. (26), SI Eq. (35), corrected).

    Args:
        beta: inverse temperature.
        fields: h_l of the spins of the sub-system, (L,), 1 <= L <= n; those of
            ln rho+-_i are h_l +- J_il + xi_il.
        n: number of spins of the whole system; the couplings have variance 1/n.
        q: overlaps q_0 <= q_1 <= ... <= q_k in [0, 1], (k+1,).
        m: block parameters in [0, 1], (k,); m[j-1] goes with q[j] - q[j-1].

    Returns:
        A float, dimensionless, for the whole sub-system.

    Raises:
        ValueError: an argument is not as stated.
    """
    beta, fields, n, q, m = _checked(beta, fields, n, q, m)
    return float(_prefactor(beta, len(fields), n, q, m) + averages(beta, fields, q, m).g.sum())


def stationarity(beta, fields, n, q, m=()):
    """How far order parameters are from the saddle point; arguments as in `log_rho`.

    Returns:
        dq (k+1,): the right sides minus the left sides of q_j = (1/n) sum_l E M_{j+1}^2, where M is
        the magnetisation averaged over the levels beyond j;
        dm (k,): the derivative of log_rho / n by m_j, for m_j > 0.

    Raises:
        ValueError: as `log_rho`.
    """
    return _stationarity(*_checked(beta, fields, n, q, m))


def replicon(beta, fields, n, q, m=()):
    """1 - beta^2/n sum_l E sech^4, negative where the saddle point is unstable; as in `log_rho`.

    For m=() this is the stability of the replica-symmetric solution (de Almeida and Thouless,
    1978); for broken ones, that of the innermost level.

    Raises:
        ValueError: as `log_rho`.
    """
    beta, fields, n, q, m = _checked(beta, fields, n, q, m)
    return float(1 - beta**2 / n * averages(beta, fields, q, m).fourth.sum())


def subsystem(beta, fields, n, steps=0):
    """The extremum of `log_rho` over its order parameters, with k = `steps`.

    Where the replica-symmetric solution is stable, the broken ones coincide with it: all q are
    equal, and m_j, which then matter to nothing, are 1.

    Args:
        beta, fields, n: as in `log_rho`.
        steps: k >= 0.

    Raises:
        ValueError: steps is not an integer >= 0, or another argument is not as in `log_rho`.
        RuntimeError: as `free_energy`.
    """
    steps = as_count("steps", steps, at_least=0)
    beta, fields, n, _, _ = _checked(beta, fields, n, [0.0], ())
    q, m = np.array([_symmetric_overlap(beta, fields, n)]), np.empty(0)
    if steps:
        stable = replicon(beta, fields, n, q) >= -_MERGED
        if stable:
            q, m = np.repeat(q, steps + 1), np.ones(steps)
        else:
            q, m = _broken_saddle(beta, fields, n, steps, q[0])
    residual = float(
        max(np.abs(part).max(initial=0) for part in _stationarity(beta, fields, n, q, m))
    )
    if not residual <= TOLERANCE:
        raise RuntimeError(f"the saddle equations hold to {residual:.1e} only, at beta = {beta:g}")
    return SubsystemSolution(log_rho(beta, fields, n, q, m), q, m, residual)


# ---- The functional and its derivatives --------------------------------------------------------


def _prefactor(beta, spins, n, q, m):
    return n * beta**2 / 4 * ((spins / n - q[-1]) ** 2 - m @ np.diff(q**2))


def _stationarity(beta, fields, n, q, m):
    found = averages(beta, fields, q, m)
    by_m = found.by_m.sum(1) / n - beta**2 / 4 * np.diff(q**2)
    return found.squares.sum(1) / n - q, np.where(m > 0, by_m, 0.0)


# ---- The saddle point --------------------------------------------------------------------------


def _symmetric_overlap(beta, fields, n):
    """The q that solves q = (1/n) sum_l E tanh^2; E tanh^2 / q falls with q, so it is unique."""

    def excess(q):
        return _stationarity(beta, fields, n, np.array([q]), np.empty(0))[0][0]

    lowest = 0.0 if excess(0.0) > 0 else 1e-12  # without fields q = 0 always is a solution
    if excess(lowest) <= 0:
        return 0.0
    return float(brentq(excess, lowest, len(fields) / n, xtol=1e-15, rtol=1e-14))


def _broken_saddle(beta, fields, n, k, q_symmetric):
    """Order parameters of k steps, (k+1,) and (k,), where the symmetric solution is unstable."""
    for q, m in _first_guesses(beta, len(fields) / n, q_symmetric):
        found = _newton(beta, fields, n, q, m)
        while found is not None and len(found[1]) < k:
            tries = (_newton(beta, fields, n, *guess) for guess in _one_step_more(*found))
            found = next((solution for solution in tries if solution is not None), None)
        if found is not None:
            return found
    raise RuntimeError(
        f"no saddle point of {k} steps was found at beta = {beta:g}; the symmetric one has the "
        f"replicon {replicon(beta, fields, n, [q_symmetric]):.2g}"
    )


def _newton(beta, fields, n, q, m):
    """The saddle point near given order parameters, or None if the search leaves their region.

    The unknowns are the logarithms of the increments of q and m, which keeps both in order.
    """
    k = len(m)

    def unpack(logarithms):
        increments = np.exp(np.minimum(logarithms, 1.0))
        return increments[: k + 1].cumsum(), increments[k + 1 :].cumsum()

    def equations(logarithms):
        q, m = unpack(np.clip(logarithms, -14.0, 0.0))
        try:
            dq, dm = _stationarity(beta, fields, n, q, m)
        except ValueError:  # overlaps that no common grid resolves: the search went astray
            return np.full(2 * k + 1, np.inf)
        gaps = np.diff(q, prepend=0.0)
        # Both vanish as overlaps merge; divided by the gaps they do so at the solution alone.
        return np.append(dq / gaps, dm / gaps[1:] ** 2)

    start = np.log(np.append(np.diff(q, prepend=0.0), np.diff(m, prepend=0.0)))
    found = root(equations, start, tol=1e-13, options=_NEWTON)
    q, m = unpack(found.x)
    inside = found.x.min() > -14 and q[-1] < 1 and m[-1] < 1
    return (q, m) if inside and np.abs(found.fun).max() < 1e-9 else None


def _first_guesses(beta, fraction, q_symmetric):
    """One step: q about the symmetric one, m from a rough form of Parisi's function.

    At low temperature beta m is nearly a function of q alone (Parisi and Toulouse, 1980).
    """
    for spread in (0.65, 0.3, 0.1, 0.03, 0.01, 0.003):
        q = q_symmetric * np.array([1 - spread, 1 + spread / 4])
        middle = min(q.mean() / fraction, 0.98)
        m = 1.2 * middle / math.sqrt((1 - middle**2) * fraction) / beta
        for scale in (1.0, 0.6, 1.7):
            yield q, np.array([min(0.9, scale * m)])


def _one_step_more(q, m):
    """Guesses for k + 1 steps from the solution of k: the function m(q) at more places.

    The first one stretches it over the same overlaps; in a field, where m(q) begins above zero,
    one with a flatter function or another spread of the overlaps is often the one that leads on.
    """
    k = len(m)
    lowest = max(q[0] - (q[1] - q[0]) / 2, 0.0)
    places = lowest + (q[-1] - lowest) * np.arange(1, 2 * k + 4, 2) / (2 * k + 3)
    middles = (q[1:] + q[:-1]) / 2
    known = np.append(lowest, middles), np.append(m[0] * lowest / middles[0], m)
    new = np.interp((places[1:] + places[:-1]) / 2, *known) + 0.01 * m[0] * np.arange(1, k + 2)
    for slope in (1.0, 0.5, 0.25, 1.5):
        for spread in (1.0, 0.8, 1.2):
            guess = _about_mean(places, spread), _about_mean(new, slope)
            if guess[0][0] > 0 and guess[0][-1] < 1 and guess[1][0] > 0 and guess[1][-1] < 1:
                yield guess


def _about_mean(values, factor):
    return values.mean() + factor * (values - values.mean())


# ---- Input -------------------------------------------------------------------------------------


def _checked(beta, fields, n, q, m):
    beta, n = as_positive("beta", beta), as_count("n", n)
    fields = _as_vector("fields", fields)
    if not 1 <= len(fields) <= n:
        raise ValueError(f"fields must be those of 1 to n = {n} spins, not of {len(fields)}")
    q, m = _as_vector("q", q), _as_vector("m", m)
    if len(q) != len(m) + 1:
        raise ValueError(f"q must have one entry more than m, not {len(q)} beside {len(m)}")
    for name, values in (("q", q), ("m", m)):
        if ((values < 0) | (values > 1)).any():
            raise ValueError(f"{name} must lie in [0, 1], not {values.tolist()}")
    if (np.diff(q) < 0).any():
        raise ValueError(f"q must not decrease, but is {q.tolist()}")
    steep = beta * np.sqrt(np.diff(q)) * m
    if steep.max(initial=0.0) > _STEEPEST:
        raise ValueError(
            f"m must be below {_STEEPEST:g} / (beta sqrt(q_j - q_(j-1))), but is {m.tolist()}"
        )
    return beta, fields, n, q, m


def _as_vector(name, values):
    try:
        vector = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a list of numbers") from None
    if vector.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not the shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return vector
