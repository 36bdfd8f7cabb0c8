"""Enumeration against plain loops, and the Curie-Weiss closed forms against enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arnn
from arnn import exact

few = settings(deadline=None, derandomize=True, max_examples=12)
models = {
    "beta": st.floats(0.05, 3),
    "coupling": st.floats(-2, 2),
    "field": st.floats(-1.5, 1.5),
}


def random_hamiltonian(n, seed, field_scale=0.7):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, field_scale * rng.normal(size=n))


def boltzmann_weights_by_loops(H, beta):
    """A dict from each configuration, a tuple of +-1, to exp(-beta H), in Python numbers."""
    couplings, fields = H.couplings.tolist(), H.fields.tolist()
    weights = {}
    for x in itertools.product((-1, 1), repeat=H.n):
        energy = 0.0
        for i in range(H.n):
            energy -= fields[i] * x[i]
            for j in range(i + 1, H.n):
                energy -= couplings[i][j] * x[i] * x[j]
        weights[x] = math.exp(-beta * energy)
    return weights


# ---- Enumeration -------------------------------------------------------------------------------


def test_configurations_are_all_different_and_in_the_stated_order():
    x = exact.configurations(5)
    assert x.dtype == torch.float64
    assert [tuple(row) for row in x.int().tolist()] == list(itertools.product((-1, 1), repeat=5))


@few
@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.05, 3))
def test_enumeration_agrees_with_plain_loops(seed, beta):
    H = random_hamiltonian(4, seed)
    weights = boltzmann_weights_by_loops(H, beta)
    z = math.fsum(weights.values())
    assert exact.log_partition(H, beta) == pytest.approx(math.log(z), abs=1e-12)
    expected = [weight / z for weight in weights.values()]
    assert exact.probabilities(H, beta).tolist() == pytest.approx(expected, abs=1e-14)
    assert float(exact.probabilities(H, beta).sum()) == pytest.approx(1, abs=1e-14)


@few
@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.05, 3))
def test_exact_averages_agree_with_plain_loops(seed, beta):
    H = random_hamiltonian(4, seed)
    weights = boltzmann_weights_by_loops(H, beta)
    z = math.fsum(weights.values())
    result = exact.thermodynamics(H, beta)
    for i, j in itertools.product(range(4), repeat=2):
        correlation = math.fsum(w * x[i] * x[j] for x, w in weights.items()) / z
        assert float(result.correlations[i, j]) == pytest.approx(correlation, abs=1e-13)
    for i in range(4):
        magnetisation = math.fsum(w * x[i] for x, w in weights.items()) / z
        assert float(result.magnetisations[i]) == pytest.approx(magnetisation, abs=1e-13)
    energy = -math.fsum(w * math.log(w) for w in weights.values()) / (z * beta)
    entropy = -math.fsum(w / z * math.log(w / z) for w in weights.values())
    assert result.energy == pytest.approx(energy, abs=1e-11)
    assert result.entropy == pytest.approx(entropy, abs=1e-11)
    assert result.log_partition == pytest.approx(math.log(z), abs=1e-12)


def test_energy_and_magnetisation_are_derivatives_of_log_z():
    H, beta, step = random_hamiltonian(6, 1), 0.8, 1e-5
    result = exact.thermodynamics(H, beta)
    slope = exact.log_partition(H, beta + step) - exact.log_partition(H, beta - step)
    assert result.energy == pytest.approx(-slope / (2 * step), abs=1e-8)
    for i in range(H.n):
        bump = torch.zeros(H.n, dtype=torch.float64)
        bump[i] = step
        up = arnn.PairwiseHamiltonian(H.couplings, H.fields + bump)
        down = arnn.PairwiseHamiltonian(H.couplings, H.fields - bump)
        slope = (exact.log_partition(up, beta) - exact.log_partition(down, beta)) / (2 * step)
        assert float(result.magnetisations[i]) == pytest.approx(slope / beta, abs=1e-8)


def test_log_partition_stays_finite_where_the_weights_overflow():
    H = arnn.curie_weiss(8)
    # Two ground states of energy -(n-1)/2 are all that is left.
    assert exact.log_partition(H, 1e4) == pytest.approx(3.5e4 + math.log(2), rel=1e-15)


@few
@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.05, 3))
def test_conditional_logits_are_ratios_of_marginal_sums(seed, beta):
    H = random_hamiltonian(5, seed)
    weights = boltzmann_weights_by_loops(H, beta)

    def marginal(prefix):
        return math.fsum(w for x, w in weights.items() if x[: len(prefix)] == prefix)

    x = exact.configurations(5)
    logits = exact.conditional_logits(H, beta, x)
    for row, spins in zip(logits.tolist(), x.int().tolist(), strict=True):
        for i in range(5):
            past = tuple(spins[:i])
            ratio = marginal((*past, 1)) / marginal((*past, -1))
            assert row[i] == pytest.approx(math.log(ratio), abs=1e-11)


def test_the_chain_of_exact_conditionals_is_the_boltzmann_distribution():
    H, beta = random_hamiltonian(8, 5), 1.1
    x = exact.configurations(8)
    logits = exact.conditional_logits(H, beta, x)
    log_prob = torch.nn.functional.logsigmoid(x * logits).sum(1)
    torch.testing.assert_close(log_prob.exp(), exact.probabilities(H, beta), rtol=1e-12, atol=0)


def test_exact_conditionals_see_the_past_only():
    H, beta = random_hamiltonian(6, 2), 0.9
    x = exact.configurations(6)
    logits = exact.conditional_logits(H, beta, x)
    for j in range(6):
        flipped = x.clone()
        flipped[:, j] *= -1
        change = exact.conditional_logits(H, beta, flipped) - logits
        assert not change[:, : j + 1].any()
        if j < 5:
            assert change[:, j + 1 :].abs().max() > 1e-3


def test_the_divergence_of_a_net_from_itself_is_zero_and_from_another_is_not():
    H, beta = random_hamiltonian(6, 4), 0.7
    net = arnn.nets.H2ARNN(H, beta)
    assert abs(exact.variational_free_energy(net, H, beta).kl.item()) < 1e-12
    p, q = exact.probabilities(H, beta), exact.probabilities(H, 2 * beta)
    expected = float((p * (p / q).log()).sum())
    found = exact.variational_free_energy(net, H, 2 * beta)
    assert found.kl.item() == pytest.approx(expected, abs=1e-12)
    total = found.beta_free_energy.item() + exact.log_partition(H, 2 * beta)
    assert total == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [0, -3, 25, 2.0, "4"])
def test_too_many_spins_to_enumerate_are_refused(n):
    message = "limited to 24 spins, not 25" if n == 25 else "n must be an integer of at least 1"
    with pytest.raises(ValueError, match=message):
        exact.configurations(n)


@pytest.mark.parametrize("beta", [0, -1.0, math.nan, math.inf, "1", None])
@pytest.mark.parametrize(
    "function",
    [
        exact.log_weights,
        exact.log_partition,
        exact.probabilities,
        exact.thermodynamics,
        lambda H, beta: exact.conditional_logits(H, beta, torch.ones(1, 3)),
        lambda H, beta: exact.curie_weiss_log_partition(3, beta),
        lambda H, beta: exact.curie_weiss_free_energy(3, beta),
        lambda H, beta: exact.curie_weiss_sum_distribution(3, beta),
        lambda H, beta: exact.curie_weiss_thermodynamics(3, beta),
        lambda H, beta: exact.curie_weiss_overlap_distribution(3, beta),
        lambda H, beta: exact.curie_weiss_magnetisation(beta),
        lambda H, beta: exact.curie_weiss_free_energy_limit(beta),
    ],
)
def test_a_wrong_beta_is_refused_everywhere(function, beta):
    with pytest.raises(ValueError, match="beta must be a positive finite number"):
        function(arnn.curie_weiss(3), beta)


@pytest.mark.parametrize("shape", [(2, 3), (2, 5), (4,)])
def test_conditionals_of_spins_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"spins must have shape \(batch, 4\), not"):
        exact.conditional_logits(arnn.curie_weiss(4), 1.0, torch.ones(shape))


# ---- Curie-Weiss -------------------------------------------------------------------------------


@few
@given(n=st.integers(1, 10), **models)
def test_the_closed_partition_function_agrees_with_enumeration(n, beta, coupling, field):
    enumerated = exact.log_partition(arnn.curie_weiss(n, coupling, field), beta)
    closed = exact.curie_weiss_log_partition(n, beta, coupling, field)
    assert closed == pytest.approx(enumerated, abs=1e-11)
    f = exact.curie_weiss_free_energy(n, beta, coupling, field)
    assert f == pytest.approx(-enumerated / (beta * n), abs=1e-11 / beta)


@few
@given(n=st.integers(1, 9), **models)
def test_the_closed_averages_agree_with_enumeration(n, beta, coupling, field):
    H = arnn.curie_weiss(n, coupling, field)
    enumerated = exact.thermodynamics(H, beta)
    closed = exact.curie_weiss_thermodynamics(n, beta, coupling, field)
    for name in ("log_partition", "energy", "entropy"):
        assert closed[name] == pytest.approx(getattr(enumerated, name), abs=1e-10)
    p, sums = exact.probabilities(H, beta), exact.configurations(n).sum(1)
    assert closed["abs_magnetisation"] == pytest.approx(float(p @ sums.abs()) / n, abs=1e-12)
    values, law = exact.curie_weiss_sum_distribution(n, beta, coupling, field)
    assert values.tolist() == list(range(-n, n + 1, 2))
    for value, probability in zip(values, law, strict=True):
        assert probability == pytest.approx(float(p[sums == value].sum()), abs=1e-12)


def test_log_binomials_are_those_of_integers():
    found = exact.log_binomial(60, np.arange(61))
    assert found.tolist() == pytest.approx([math.log(math.comb(60, k)) for k in range(61)])
    assert math.isfinite(exact.log_binomial(10**5, 5 * 10**4))


def saddle_point_log_partition(n, beta):
    """ln Z = N phi(m) - beta/2 - ln[1 - beta (1 - m^2)] / 2, and ln 2 for two saddle points."""
    m = exact.curie_weiss_magnetisation(beta)
    entropy = -sum(p * math.log(p) for p in ((1 + m) / 2, (1 - m) / 2))
    phi = entropy + beta * m**2 / 2
    return n * phi - beta / 2 - math.log(1 - beta * (1 - m**2)) / 2 + math.log(2) * (m > 0)


@pytest.mark.parametrize("beta", [0.3, 0.7, 1.3, 2.0])
def test_log_z_approaches_the_saddle_point_value_like_one_over_n(beta):
    sizes = (1000, 2000, 4000)
    gaps = [
        exact.curie_weiss_log_partition(n, beta) - saddle_point_log_partition(n, beta)
        for n in sizes
    ]
    assert 0 < abs(gaps[0]) < 0.01
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.01)


def test_at_the_critical_point_the_magnetisation_falls_like_the_fourth_root_of_n():
    limit = 12**0.25 * math.gamma(0.5) / math.gamma(0.25)
    assert limit == pytest.approx(0.9099, abs=5e-5)

    def scaled(n):
        return exact.curie_weiss_thermodynamics(n, 1.0)["abs_magnetisation"] * n**0.25

    # The corrections are a power of n^(-1/2): one Richardson step removes the first.
    coarse, fine = scaled(10_000), scaled(40_000)
    assert fine == pytest.approx(limit, rel=5e-3)
    assert 2 * fine - coarse == pytest.approx(limit, rel=1e-4)
    assert scaled(100_000) == pytest.approx(limit, rel=3e-3)


@few
@given(**models)
def test_the_magnetisation_solves_its_equation(beta, coupling, field):
    m = exact.curie_weiss_magnetisation(beta, coupling, field)
    assert m == pytest.approx(math.tanh(beta * (field + coupling * m)), abs=1e-12)
    assert m * field >= 0


@pytest.mark.parametrize(
    ("beta", "coupling", "expected"),
    [(0.5, 1, 0), (1, 1, 0), (3, -1, 0), (1.3, 1, 0.7521), (2, 1, 0.9575), (0.65, 2, 0.7521)],
)
def test_the_magnetisation_without_field(beta, coupling, expected):
    assert exact.curie_weiss_magnetisation(beta, coupling) == pytest.approx(expected, abs=1e-4)


def test_the_magnetisation_takes_the_stable_solution():
    # With a weak field against it, the metastable solution also solves the equation.
    m = exact.curie_weiss_magnetisation(1.5, 1.0, -1e-3)
    assert m == pytest.approx(-exact.curie_weiss_magnetisation(1.5, 1.0, 1e-3), abs=1e-14)
    assert m < -exact.curie_weiss_magnetisation(1.5)
    just_above = exact.curie_weiss_magnetisation(1 + 1e-6)
    assert just_above == pytest.approx(math.sqrt(3e-6), rel=1e-4)


@pytest.mark.parametrize(("coupling", "field"), [(1.0, 0.0), (1.0, 0.3), (-1.0, 0.4)])
@pytest.mark.parametrize("beta", [0.5, 1.3])
def test_the_free_energy_approaches_its_limit(beta, coupling, field):
    limit = exact.curie_weiss_free_energy_limit(beta, coupling, field)
    gaps = [
        abs(exact.curie_weiss_free_energy(n, beta, coupling, field) - limit)
        for n in (10_000, 100_000)
    ]
    assert gaps[1] < 2e-5
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.02)


# ---- Overlaps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "coupling", "field"), [(0.4, 1, 0), (1.3, 1, 0), (1.1, 1, 0.3), (0.8, -1, -0.5)]
)
def test_the_overlap_law_agrees_with_all_pairs_of_configurations(beta, coupling, field):
    n = 6
    p = exact.probabilities(arnn.curie_weiss(n, coupling, field), beta)
    x = exact.configurations(n)
    pairs, weights = (x @ x.T).round().long(), p[:, None] * p[None, :]
    q, law = exact.curie_weiss_overlap_distribution(n, beta, coupling, field)
    assert (q * n).tolist() == pytest.approx(list(range(-n, n + 1, 2)))
    for value, probability in zip(q, law, strict=True):
        expected = float(weights[pairs == round(value * n)].sum())
        assert probability == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(("beta", "field"), [(0.5, 0), (1.0, 0), (1.3, 0), (1.3, 0.1), (0.8, -0.2)])
def test_the_overlap_law_agrees_with_two_gaussian_mixtures(beta, field):
    """Given t, of density exp(-n (t - beta h)^2 / 2 beta) (2 cosh t)^n, spins are independent."""
    n = 30
    t = np.linspace(-6, 6, 801)
    log_mu = -n * (t - beta * field) ** 2 / (2 * beta) + n * np.logaddexp(t, -t)
    mu = np.exp(log_mu - log_mu.max())
    mu /= mu.sum()  # the trapezoid rule, whose error is exponentially small here
    agree = (1 + np.tanh(t)[:, None] * np.tanh(t)[None, :]) / 2
    q, law = exact.curie_weiss_overlap_distribution(n, beta, 1.0, field)
    for count in range(n + 1):
        binomial = math.comb(n, count) * agree**count * (1 - agree) ** (n - count)
        assert law[count] == pytest.approx(mu @ binomial @ mu, abs=1e-12)
        assert q[count] == pytest.approx(2 * count / n - 1, abs=1e-15)
    assert law.sum() == pytest.approx(1, abs=1e-12)


def test_the_overlap_law_of_the_papers_figure():
    q, law = exact.curie_weiss_overlap_distribution(200, 1.3)
    assert law.sum() == pytest.approx(1, abs=1e-11)
    assert np.allclose(law, law[::-1], rtol=0, atol=1e-13)
    assert abs(q[np.argmax(law)]) == pytest.approx(0.56, abs=0.005)
    # q = 0.2 is one of the possible values, so it matters whether it is counted.
    assert law[np.abs(q) < 0.2 + 1e-9].sum() == pytest.approx(6e-4, rel=0.05)
    assert law[np.abs(q) < 0.2 - 1e-9].sum() == pytest.approx(5e-4, rel=0.05)


@pytest.mark.parametrize(
    "function",
    [
        exact.curie_weiss_log_partition,
        exact.curie_weiss_free_energy,
        exact.curie_weiss_sum_distribution,
        exact.curie_weiss_thermodynamics,
        exact.curie_weiss_overlap_distribution,
    ],
)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0), "n must be an integer of at least 1, not 0"),
        ((2.0, 1.0), "n must be an integer of at least 1, not 2.0"),
        ((5, 1.0, math.nan), "coupling must be a finite number, not nan"),
        ((5, 1.0, 1.0, math.inf), "field must be a finite number, not inf"),
    ],
)
def test_a_wrong_curie_weiss_model_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
