"""The replica free energies against other integrators, closed forms, limits and cited numbers."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from arnn import replica

FIELDS = np.array([0.3, -1.1, 0.0, 0.7, 2.4])  # L = 5 spins out of n = 8
N = 8


def density(z):
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def log_two_cosh(t):
    return np.logaddexp(t, -t)


def gauss_hermite(nodes=120):
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return z, w / w.sum()


def nested(beta, fields, n, q, m):
    """The functional on the full product of Gauss-Hermite nodes; accurate at small beta."""
    z, w = gauss_hermite()
    sigma = np.sqrt(np.diff(q, prepend=0))

    def g(level, x):
        if level > len(m):
            return log_two_cosh(beta * x)
        inner = g(level + 1, x[..., None] + sigma[level] * z)
        if level == 0:
            return inner @ w
        return np.log(np.exp(m[level - 1] * inner) @ w) / m[level - 1]

    prefactor = (len(fields) / n - q[-1]) ** 2 - np.dot(m, np.diff(np.square(q)))
    return n * beta**2 / 4 * prefactor + g(0, np.asarray(fields)).sum()


# ---- Values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "steps", "f"), [(2, 0, -0.79239), (2, 1, -0.79121), (5, 0, -0.77724), (5, 1, -0.76556)]
)
def test_free_energies_to_five_digits(beta, steps, f):
    assert round(replica.free_energy(beta, steps).f, 5) == f


@pytest.mark.parametrize("beta", [0.7, 1.3, 2.0, 5.0])
@pytest.mark.parametrize("field", [0.0, 0.3, -1.2])
def test_symmetric_solution_by_adaptive_integration(beta, field):
    def average(g, q):
        kink = -field / math.sqrt(q) if q > 0 else 0.0
        integrand = lambda z: density(z) * g(beta * (field + math.sqrt(q) * z))  # noqa: E731
        return quad(integrand, -12, 12, points=[kink], epsabs=1e-13, epsrel=1e-13, limit=500)[0]

    overlap = lambda q: average(lambda t: math.tanh(t) ** 2, q) - q  # noqa: E731
    trivial = field == 0 and beta <= 1
    q = 0.0 if trivial else brentq(overlap, 1e-6, 1, xtol=1e-14)
    f = -beta / 4 * (1 - q) ** 2 - average(log_two_cosh, q) / beta
    found = replica.free_energy(beta, field=field)
    assert found.q == pytest.approx([q], abs=1e-10)
    assert found.f == pytest.approx(f, abs=1e-11)


@pytest.mark.parametrize("beta", [0.8, 2.0])
def test_one_step_by_adaptive_double_integration(beta):
    q, m, field = (0.2, 0.5), 0.4, 0.3

    def power(y, z):
        x = beta * (field + math.sqrt(q[0]) * z + math.sqrt(q[1] - q[0]) * y)
        return density(y) * math.exp(m * log_two_cosh(x))

    z, w = gauss_hermite(60)  # the outer average is of a smooth function
    inner = [
        quad(power, -15, 15, args=(node,), epsabs=1e-14, epsrel=1e-13, limit=400)[0] for node in z
    ]
    expected = beta**2 / 4 * ((1 - q[1]) ** 2 - m * (q[1] ** 2 - q[0] ** 2))
    expected += w @ np.log(inner) / m
    assert replica.log_rho(beta, [field], 1, q, [m]) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("q", "m"),
    [
        ([0.3], []),
        ([0.0, 0.4], [0.5]),
        ([0.1, 0.25, 0.6], [0.2, 0.7]),
        ([0.2, 0.2, 0.5], [0.3, 0.6]),
    ],
)
def test_functional_on_the_product_of_all_nodes(q, m):
    found = replica.log_rho(0.6, FIELDS, N, q, m)
    assert found == pytest.approx(nested(0.6, FIELDS, N, q, m), abs=1e-11)


def test_average_of_a_power_by_double_integration():
    """m = 1 makes E cosh: ln rho has a closed form, also far down in temperature."""
    for beta in (0.5, 3.0, 12.0):
        found = replica.log_rho(beta, FIELDS, N, [0.0, 0.6], [1.0])
        expected = N * beta**2 / 4 * ((5 / 8 - 0.6) ** 2 - 0.36)
        expected += (log_two_cosh(beta * FIELDS) + 0.3 * beta**2).sum()
        assert found == pytest.approx(expected, rel=1e-13)


# ---- The saddle point --------------------------------------------------------------------------

POINTS = [
    ([0.4], []),
    ([0.2, 0.6], [0.4]),
    ([0.0, 0.5], [0.8]),
    ([0.1, 0.3, 0.55], [0.2, 0.5]),
    ([0.1, 0.2, 0.4, 0.6], [0.1, 0.3, 0.7]),
]


@pytest.mark.parametrize("beta", [0.7, 3.0])
@pytest.mark.parametrize(("q", "m"), POINTS)
def test_saddle_equations_are_derivatives(beta, q, m):
    """d ln rho / d q_j = (n beta^2 / 2)(m_{j+1} - m_j)(q_j - E M_{j+1}^2), and d / d m_j."""
    dq, dm = replica.stationarity(beta, FIELDS, N, q, m)
    step, above = 1e-4, [0.0, *m, 1.0]

    def derivative(change_q, change_m):
        shifted = [
            replica.log_rho(beta, FIELDS, N, np.add(q, c * change_q), np.add(m, c * change_m))
            for c in (-2 * step, -step, step, 2 * step)
        ]
        return np.dot(shifted, [1, -8, 8, -1]) / (12 * step)

    for j in range(len(q)):
        if q[j] == 0:
            continue  # no room to the left
        expected = -N * beta**2 / 2 * (above[j + 1] - above[j]) * dq[j]
        assert derivative(np.eye(len(q))[j], 0 * np.array(m)) == pytest.approx(expected, abs=1e-7)
    for j in range(len(m)):
        assert derivative(0 * np.array(q), np.eye(len(m))[j]) == pytest.approx(N * dm[j], abs=1e-7)


CASES = [
    (1.1, 1, 0),
    (1.5, 3, 0),
    (2, 1, 0),
    (2, 2, 0),
    (5, 3, 0),
    (10, 2, 0),
    (2, 1, 0.1),
    (5, 2, 0.3),
]


@pytest.mark.parametrize(("beta", "steps", "field"), CASES)
def test_solutions_are_stationary_and_in_order(beta, steps, field):
    found = replica.free_energy(beta, steps, field=field)
    dq, dm = replica.stationarity(beta, [field], 1, found.q, found.m)
    assert max(np.abs(dq).max(), np.abs(dm).max()) <= 1e-9
    assert (np.diff(found.q) > 1e-3).all()  # the overlaps have not merged
    assert (np.diff(found.m, prepend=0, append=1) > 1e-3).all()
    direct = replica.log_rho(beta, [field], 1, found.q, found.m)
    assert found.f == pytest.approx(-direct / beta, abs=1e-14)


@pytest.mark.parametrize(("beta", "steps", "field"), CASES)
def test_energy_and_entropy_are_derivatives_of_the_free_energy(beta, steps, field):
    h = 1e-3
    f = [replica.free_energy(beta + c * h, steps, field=field).f for c in (-2, -1, 1, 2)]
    slope = np.dot([1, -8, 8, -1], f) / (12 * h)
    found = replica.free_energy(beta, steps, field=field)
    assert found.energy == pytest.approx(found.f + beta * slope, abs=1e-7)
    assert found.entropy == pytest.approx(beta**2 * slope, abs=1e-7)


@pytest.mark.parametrize("beta", [2.0, 5.0])
def test_each_step_raises_the_free_energy_less_than_the_one_before(beta):
    f = [replica.free_energy(beta, steps).f for steps in range(5)]
    rises = np.diff(f)
    assert (rises > 0).all()
    assert (rises[1:] < 0.3 * rises[:-1]).all()


@pytest.mark.parametrize(("beta", "field"), [(1.5, 0.2), (5.0, 0.5), (5.0, 1.0), (8.0, 0.1)])
def test_in_a_field_each_step_is_found_and_raises_the_free_energy(beta, field):
    f = [replica.free_energy(beta, steps, field=field).f for steps in range(4)]
    assert (np.diff(f) > 0).all()
    assert (np.diff(f, 2) < 0).all()


def test_without_field_the_smallest_overlap_is_not_zero():
    """Fixing q_0 = 0, which symmetry may suggest, costs the first step 8% of what it gains."""
    q1, m = 0.60132141, 0.20424301  # stationary in q_1 and m at q_0 = 0
    dq, dm = replica.stationarity(2, [0.0], 1, [0.0, q1], [m])
    assert np.abs([dq[1], dm[0]]).max() < 1e-7
    fixed = -replica.log_rho(2, [0.0], 1, [0.0, q1], [m]) / 2
    free, symmetric = replica.free_energy(2, 1), replica.free_energy(2)
    assert 0.05 < free.q[0] < 0.3
    gain = (fixed - symmetric.f) / (free.f - symmetric.f)
    assert gain == pytest.approx(0.919, abs=1e-3)


# ---- Limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_above_the_critical_temperature_nothing_breaks(beta, steps):
    found = replica.free_energy(beta, steps)
    assert not found.q.any()
    assert found.f == pytest.approx(-math.log(2) / beta - beta / 4, abs=1e-13)
    assert found.energy == pytest.approx(-beta / 2, abs=1e-13)


def test_in_a_strong_field_nothing_breaks():
    broken, symmetric = (replica.free_energy(2, steps, field=0.7) for steps in (2, 0))
    assert broken.q == pytest.approx(np.repeat(symmetric.q, 3), abs=0)
    assert broken.f == pytest.approx(symmetric.f, abs=1e-13)


def test_just_below_the_critical_temperature_the_levels_are_spaced_as_parisi_found():
    """q_j : q_k = (2j+1) : (2k+1), as for q(x) = x/2; m_j = 2 times the mean of its overlaps."""
    for steps in (1, 2):
        found = replica.free_energy(1.02, steps)
        spacing = np.arange(1, 2 * steps + 2, 2) / (2 * steps + 1)
        assert found.q / found.q[-1] == pytest.approx(spacing, abs=1e-3)
        assert found.m == pytest.approx(found.q[1:] + found.q[:-1], rel=0.06)


def test_zero_temperature():
    """Energies fall like T^2, so two temperatures give their limit; literature values in each."""
    limits = {}
    for steps in (0, 1, 2):
        warm, cold = (replica.free_energy(beta, steps) for beta in (20, 40))
        limits[steps] = (4 * cold.energy - warm.energy) / 3
        if steps == 0:
            entropy = 2 * cold.entropy - warm.entropy
    assert limits[0] == pytest.approx(-math.sqrt(2 / math.pi), abs=1e-5)
    assert entropy == pytest.approx(-1 / (2 * math.pi), abs=5e-4)
    assert limits[1] == pytest.approx(-0.7652, abs=1e-4)
    assert limits[2] == pytest.approx(-0.7636, abs=1e-4)
    assert limits[0] < limits[1] < limits[2] < -0.763167


@pytest.mark.parametrize("beta", [0.8, 4.0])
def test_reductions_to_the_symmetric_functional(beta):
    symmetric = lambda q: replica.log_rho(beta, FIELDS, N, [q])  # noqa: E731
    one_step = lambda q0, q1, m: replica.log_rho(beta, FIELDS, N, [q0, q1], [m])  # noqa: E731
    assert one_step(0.4, 0.4, 0.5) == pytest.approx(symmetric(0.4), abs=1e-12)
    assert one_step(0.2, 0.5, 1.0) == pytest.approx(symmetric(0.2), abs=1e-12)
    assert one_step(0.2, 0.5, 0.0) == pytest.approx(symmetric(0.5), abs=1e-12)
    for m in (1e-9, 1e-6, 1e-3):  # continuously, with the slope that stationarity gives
        slope = N * replica.stationarity(beta, FIELDS, N, [0.2, 0.5], [m])[1][0]
        assert one_step(0.2, 0.5, m) == pytest.approx(
            symmetric(0.5) + m * slope, abs=5 * m**2 + 1e-12
        )


@pytest.mark.parametrize("q1", [0.1, 0.2, 0.44, 0.6])
def test_equal_m_make_one_step_of_two(q1):
    one = replica.log_rho(2.5, FIELDS, N, [0.1, 0.6], [0.35])
    two = replica.log_rho(2.5, FIELDS, N, [0.1, q1, 0.6], [0.35, 0.35])
    assert two == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_replicon(beta):
    q = 0.3
    integrand = lambda z, h: density(z) / math.cosh(beta * (h + math.sqrt(q) * z)) ** 4  # noqa: E731
    options = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 400}
    total = sum(
        quad(integrand, -12, 12, (h,), points=[-h / math.sqrt(q)], **options)[0] for h in FIELDS
    )
    assert replica.replicon(beta, FIELDS, N, [q]) == pytest.approx(
        1 - beta**2 / N * total, abs=1e-11
    )


def test_replicon_of_broken_solutions_rises_towards_zero():
    solutions = [replica.free_energy(3, steps) for steps in range(4)]
    values = [replica.replicon(3, [0.0], 1, s.q, s.m) for s in solutions]
    assert values[0] < values[1] < values[2] < values[3] < 0


# ---- Sub-systems -------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_subsystem_of_all_spins_in_one_field_is_the_whole_model(steps):
    whole = replica.free_energy(2, steps, field=0.2)
    part = replica.subsystem(2, np.full(6, 0.2), 6, steps)
    assert part.log_rho == pytest.approx(-2 * 6 * whole.f, abs=1e-11)
    assert part.q == pytest.approx(whole.q, abs=1e-9)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_without_fields_a_fraction_of_the_spins_is_a_warmer_model(steps):
    """eta n spins with variance 1/n are a whole model at beta sqrt(eta), its overlaps times eta."""
    whole = replica.free_energy(2, steps)
    part = replica.subsystem(4, np.zeros(5), 20, steps)
    assert part.log_rho == pytest.approx(-2 * 5 * whole.f, abs=1e-10)
    assert part.q == pytest.approx(whole.q / 4, abs=1e-9)
    assert part.m == pytest.approx(whole.m, abs=1e-8)


@pytest.mark.parametrize("steps", [0, 1])
def test_subsystem_in_random_fields_is_stationary(steps):
    rng = np.random.default_rng(5)
    fields = rng.normal(0, 0.5, 30)
    found = replica.subsystem(3.0, fields, 60, steps)
    dq, dm = replica.stationarity(3.0, fields, 60, found.q, found.m)
    assert max(np.abs(dq).max(), np.abs(dm).max(initial=0)) <= 1e-9
    assert found.residual <= 1e-9
    assert len(found.q) == steps + 1
    again = replica.subsystem(3.0, rng.permutation(-fields), 60, steps)
    assert again.log_rho == pytest.approx(found.log_rho, abs=1e-10)


def test_subsystem_is_the_average_over_couplings():
    """E ln rho by enumeration of 10 of 14 spins; what is left is of order 1, not of order L."""
    rng = np.random.default_rng(3)
    n, spins, beta = 14, 10, 0.8
    fields = rng.normal(0, 0.5, spins)
    x = np.array(list(itertools.product((-1, 1), repeat=spins)))
    pairs = x[:, :, None] * x[:, None, :]
    upper = np.triu_indices(spins, 1)
    couplings = rng.normal(0, 1 / math.sqrt(n), (400, len(upper[0])))
    exponents = beta * (couplings @ pairs[:, *upper].T + x @ fields)
    values = np.log(np.exp(exponents).sum(1))
    error = values.std(ddof=1) / math.sqrt(len(values))
    found = replica.subsystem(beta, fields, n).log_rho
    assert abs(found - values.mean()) < 0.1 + 4 * error
    unpaired = (log_two_cosh(beta * fields)).sum()  # what leaving the couplings out would give
    assert found - unpaired > 0.5


# ---- Wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0, -1, math.nan, math.inf, "two"])
def test_wrong_beta(beta):
    with pytest.raises(ValueError, match="beta must be a positive"):
        replica.free_energy(beta)
    with pytest.raises(ValueError, match="beta must be a positive"):
        replica.subsystem(beta, FIELDS, N)


@pytest.mark.parametrize("steps", [-1, 1.0, True, "one"])
def test_wrong_steps(steps):
    with pytest.raises(ValueError, match="steps must be an integer of at least 0"):
        replica.free_energy(2, steps)


@pytest.mark.parametrize(
    ("q", "m", "message"),
    [
        ([-0.1], [], r"q must lie in \[0, 1\]"),
        ([0.3, 1.2], [0.5], r"q must lie in \[0, 1\]"),
        ([0.5, 0.3], [0.5], "q must not decrease"),
        ([0.3, 0.5], [], "q must have one entry more than m, not 2 beside 0"),
        ([], [], "q must have one entry more than m, not 0 beside 0"),
        ([0.3, 0.5], [1.1], r"m must lie in \[0, 1\]"),
        ([0.3, 0.5], [-0.1], r"m must lie in \[0, 1\]"),
        ([0.3, math.nan], [0.5], "q must be finite"),
        (0.3, [], "q must have one dimension"),
        ("ab", [], "q must be a list of numbers"),
    ],
)
@pytest.mark.parametrize("function", [replica.log_rho, replica.stationarity, replica.replicon])
def test_wrong_order_parameters(function, q, m, message):
    with pytest.raises(ValueError, match=message):
        function(1.0, FIELDS, N, q, m)


@pytest.mark.parametrize(
    ("fields", "n", "message"),
    [
        ([], 8, "fields must be those of 1 to n = 8 spins, not of 0"),
        (np.zeros(9), 8, "fields must be those of 1 to n = 8 spins, not of 9"),
        (np.zeros((2, 2)), 8, "fields must have one dimension"),
        ([math.inf], 8, "fields must be finite"),
        ([0.0], 0, "n must be an integer"),
        ([0.0], 2.5, "n must be an integer"),
    ],
)
def test_wrong_subsystem(fields, n, message):
    with pytest.raises(ValueError, match=message):
        replica.log_rho(1.0, fields, n, [0.3])
    with pytest.raises(ValueError, match=message):
        replica.subsystem(1.0, fields, n)


def test_wrong_field():
    with pytest.raises(ValueError, match="field must be a finite number"):
        replica.free_energy(2, field=math.nan)


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(ValueError, match="differ by so little"):
        replica.log_rho(2, [0.0], 1, [0.5, 0.5 + 1e-9], [0.5])
    with pytest.raises(ValueError, match="m must be below 25"):
        replica.log_rho(100, [0.0], 1, [0.2, 0.9], [1.0])
