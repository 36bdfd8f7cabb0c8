"""Couplings from samples: pseudo-likelihood recovers them, and rows are aligned as promised."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

import arnn
from arnn import exact
from arnn.inverse import align_rows, correlation, pseudo_likelihood
from arnn.nets import SKRSB


def drawn(H, beta, count, seed=0):
    p = exact.probabilities(H, beta).numpy()
    rows = np.random.default_rng(seed).choice(len(p), size=count, p=p)
    return exact.configurations(H.n)[rows]


def spin_glass_with_fields(n, seed):
    fields = 0.3 * np.random.default_rng(seed).normal(size=n)
    return arnn.PairwiseHamiltonian(arnn.sherrington_kirkpatrick(n, seed).couplings, fields)


# ---- Pseudo-likelihood -------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(40, 10, 10, 40), (5, 20, 20, 5), (31, 7, 7, 31)])
def test_two_spins_give_the_arc_tangent_of_their_correlation(counts):
    x = np.repeat([[1, 1], [1, -1], [-1, 1], [-1, -1]], counts, axis=0)
    found = pseudo_likelihood(x)
    expected = math.atanh((x[:, 0] * x[:, 1]).mean())
    assert found.couplings[0, 1] == pytest.approx(expected, abs=1e-8)
    assert found.couplings[1, 0] == found.couplings[0, 1]
    assert abs(found.fields).max() < 1e-8


def test_two_spins_with_fields_are_recovered_from_their_frequencies():
    """Two spins fit any frequencies, so beta J and beta h come from the logarithms of these."""
    counts = np.array([50, 20, 8, 22])
    x = np.repeat([[1, 1], [1, -1], [-1, 1], [-1, -1]], counts, axis=0)
    uu, ud, du, dd = np.log(counts)
    found = pseudo_likelihood(x)
    assert found.couplings[0, 1] == pytest.approx((uu + dd - ud - du) / 4, abs=1e-8)
    assert found.fields == pytest.approx([(uu + ud - du - dd) / 4, (uu + du - ud - dd) / 4])
    assert abs(found.asymmetry).max() < 1e-8


@pytest.mark.parametrize("seed", [1, 2])
def test_couplings_and_fields_are_recovered_within_their_errors(seed):
    n, beta, count = 7, 0.8, 40_000
    H = spin_glass_with_fields(n, seed)
    x = drawn(H, beta, count, seed).numpy()
    found = pseudo_likelihood(x)
    assert np.array_equal(found.couplings, found.couplings.T)
    assert not found.couplings.diagonal().any()
    true = beta * H.couplings.numpy()
    single = found.couplings + found.asymmetry
    pulls = []
    for i in range(n):
        # Fisher information of the logistic regression of spin i, at the truth.
        inputs = x.copy()
        inputs[:, i] = 1
        p = expit(2 * inputs @ np.where(np.arange(n) == i, beta * H.fields[i].item(), true[i]))
        information = 4 * (inputs.T * (p * (1 - p))) @ inputs
        error = np.sqrt(np.diag(np.linalg.inv(information)))
        pulls.append(np.where(np.arange(n) == i, found.fields[i] - beta * H.fields[i].item(), 0))
        pulls[-1] = (pulls[-1] + np.where(np.arange(n) == i, 0, single[i] - true[i])) / error
    pulls = np.array(pulls)
    assert abs(pulls).max() < 4
    assert 0.5 < pulls.std() < 1.5  # neither too far from the truth nor too near


def test_the_maximum_is_where_the_conditional_moments_match():
    x = drawn(spin_glass_with_fields(5, 3), 1.0, 300).numpy()
    for l2 in (0.0, 0.05):
        found = pseudo_likelihood(x, l2)
        rows = found.couplings + found.asymmetry
        mean = np.tanh(x @ rows.T + found.fields)
        assert abs((x - mean).mean(0)).max() < 1e-7  # the fields carry no penalty
        moments = (x - mean).T @ x / len(x)
        np.fill_diagonal(moments, 0)
        assert abs(moments - 2 * l2 * rows).max() < 1e-7


def test_the_penalty_draws_the_couplings_to_zero():
    x = drawn(arnn.sherrington_kirkpatrick(6, 1), 1.0, 200)
    sizes = [abs(pseudo_likelihood(x, l2).couplings).sum() for l2 in (0.0, 0.01, 0.1, 1.0, 100.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.02 * sizes[0]


def test_a_gaussian_prior_of_the_right_width_helps_where_samples_are_few():
    n, beta, count = 20, 1.5, 300
    H = arnn.sherrington_kirkpatrick(n, 2)
    p = drawn(H, beta, count)
    error = [
        abs(pseudo_likelihood(p, l2).couplings - beta * H.couplings.numpy()).mean()
        for l2 in (1e-5, n / (2 * beta**2 * count), 3.0)
    ]
    assert error[1] < 0.7 * error[0]
    assert error[1] < 0.9 * error[2]


def test_samples_that_separate_a_spin_are_said_to():
    x = drawn(arnn.sherrington_kirkpatrick(4, 1), 0.5, 50).numpy()
    x[:, 2] = x[:, 0]
    with pytest.raises(ValueError, match=r"the samples separate spin 0: .* take more .* l2 > 0"):
        pseudo_likelihood(x)
    found = pseudo_likelihood(x, 1e-3).couplings
    assert found[0, 2] == abs(found).max() > 1


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (torch.zeros(5, 3), {}, r"samples must hold \+1 and -1 only"),
        (torch.ones(5), {}, r"samples must have shape \(M, n\)"),
        (torch.ones(5, 1), {}, "samples must be of at least two spins"),
        (torch.ones(5, 3), {"l2": -1e-3}, "l2 must not be negative, not -0.001"),
        (torch.ones(5, 3), {"l2": math.nan}, "l2 must be a finite number, not nan"),
        (torch.ones(5, 3), {"max_iterations": 0}, "max_iterations must be an integer of at least"),
    ],
)
def test_wrong_input_of_pseudo_likelihood_is_refused(samples, options, message):
    with pytest.raises(ValueError, match=message):
        pseudo_likelihood(samples, **options)


# ---- Rows of the first layer -------------------------------------------------------------------


def test_planted_signs_and_scales_are_found():
    n, rng = 30, np.random.default_rng(0)
    couplings = arnn.sherrington_kirkpatrick(n, 1).couplings
    signs, scales = (-1.0) ** np.arange(n), rng.lognormal(size=n)
    weights = couplings * torch.as_tensor(signs / scales)  # of the column: the field on spin l
    found = align_rows(weights, couplings)
    upper = np.triu(couplings.numpy(), 1)
    np.testing.assert_allclose(found.scaled, upper, atol=1e-14)
    np.testing.assert_allclose(found.signed, upper / scales, atol=1e-14)
    assert np.array_equal(found.signs[1:], signs[1:])
    np.testing.assert_allclose(found.scales[1:], scales[1:])
    assert found.signs[0] == found.scales[0] == 1  # nothing comes before the first spin
    # One sign for all, "J -> -J", is not enough.
    assert abs(correlation(weights, couplings)) < 0.3
    assert correlation(found.signed, couplings) > 0.6
    assert correlation(found.scaled, couplings) == pytest.approx(1, abs=1e-12)


def test_the_lower_triangle_and_the_diagonal_play_no_part():
    rng = np.random.default_rng(1)
    weights, couplings = rng.normal(size=(2, 9, 9))
    other = weights + np.tril(rng.normal(size=(9, 9)))
    for left, right in zip(
        align_rows(weights, couplings), align_rows(other, couplings.copy()), strict=True
    ):
        assert np.array_equal(left, right)
    assert correlation(weights, couplings) == correlation(other, couplings)


def test_a_scale_minimises_the_squared_deviation_of_its_row():
    rng = np.random.default_rng(2)
    weights, couplings = rng.normal(size=(2, 6, 6))
    found = align_rows(weights, couplings)
    for row in range(1, 6):
        true = couplings[:row, row]
        best = ((found.scaled[:row, row] - true) ** 2).sum()
        for factor in (0.99, 1.01, -1.0):
            assert ((factor * found.scaled[:row, row] - true) ** 2).sum() > best
    empty = align_rows(np.zeros((6, 6)), couplings)
    assert not empty.scaled.any()
    assert (empty.scales == 1).all()


def test_the_choice_alone_correlates_unrelated_weights():
    n, signed, scaled = 60, [], []
    for seed in range(20):
        weights, couplings = np.random.default_rng(seed).normal(size=(2, n, n))
        found = align_rows(weights, couplings)
        signed.append(correlation(found.signed, couplings))
        scaled.append(correlation(found.scaled, couplings))
    for values, expected in ((signed, 1.06 / n**0.5), (scaled, (2 / n) ** 0.5)):
        error = np.std(values, ddof=1) / len(values) ** 0.5
        assert abs(np.mean(values) - expected) < 4 * error + 0.01
        assert np.mean(values) > 10 * error


@pytest.mark.parametrize("absolute", [False, True])
def test_the_correlation_is_that_of_the_pairs(absolute):
    couplings = np.zeros((4, 4))
    weights = np.zeros((4, 4))
    for value, (s, t) in enumerate(zip(*np.triu_indices(4, 1), strict=True)):
        couplings[s, t] = value - 2.0
        weights[s, t] = 3 * couplings[s, t] + (s == 0 and t == 1)
    pairs = [(weights[s, t], couplings[s, t]) for s in range(4) for t in range(s + 1, 4)]
    a, b = np.abs(pairs).T if absolute else np.array(pairs).T
    a, b = a - a.mean(), b - b.mean()
    expected = (a @ b) / math.sqrt((a @ a) * (b @ b))
    assert correlation(weights, couplings, absolute=absolute) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("function", [align_rows, correlation])
@pytest.mark.parametrize(
    ("weights", "couplings"),
    [(np.ones((3, 4)), np.ones((3, 4))), (np.ones(9), np.ones((3, 3))), (np.eye(3), np.eye(4))],
)
def test_matrices_that_do_not_fit_are_refused(function, weights, couplings):
    with pytest.raises(ValueError, match=r"\(n, n\)|differ in shape"):
        function(weights, couplings)


# ---- The symmetry of the network ---------------------------------------------------------------


def learnable(n, k=1, seed=0):
    net = SKRSB(
        arnn.sherrington_kirkpatrick(n, 1),
        k,
        beta=1.3,
        init="paper",
        learn_first_layer=True,
        generator=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():  # numbers of order one, so that every layer counts
        for p in net.parameters():
            p.mul_(n)
    return net


def rescale(net, factors):
    """xi_il -> c_l xi_il, and the numbers that multiply the field on l divided by c_l."""
    later = torch.triu_indices(net.n, net.n, 1)[1]
    with torch.no_grad():
        net.couplings.mul_(factors)
        net.omega.div_(factors)
        net.weights[-1].div_(factors[later])


@pytest.mark.parametrize("k", [0, 1, 2])
def test_one_sign_and_scale_for_each_row_leave_the_distribution_alone(k):
    n = 8
    net, x = learnable(n, k), exact.configurations(n)
    before, direct = net.log_prob(x).detach(), (net.omega * net.couplings).detach()
    assert before.std() > 0.1
    factors = torch.randn(n, generator=torch.Generator().manual_seed(1)).double() * 2
    assert (factors < 0).any()
    rescale(net, factors)
    torch.testing.assert_close(net.log_prob(x), before, rtol=0, atol=1e-10)
    # The direct weight omega_l w_sl does not know the factor: its sign and size mean something.
    torch.testing.assert_close(net.omega * net.couplings, direct, rtol=0, atol=1e-12)


def test_a_sign_for_each_pair_is_no_symmetry():
    net, x = learnable(6), exact.configurations(6)
    before = net.log_prob(x).detach()
    with torch.no_grad():
        net.couplings[1, 4] *= -1
    assert (net.log_prob(x) - before).abs().max() > 0.01


@pytest.mark.parametrize("n", [4, 9])
def test_the_hamiltonian_has_no_symmetry_under_the_sign_of_all_couplings(n):
    """Were J -> -J a symmetry, the energies would be the same set of numbers."""
    H = arnn.sherrington_kirkpatrick(n, 1)
    opposite = arnn.PairwiseHamiltonian(-H.couplings)
    x = exact.configurations(n)
    torch.testing.assert_close(opposite.energy(x), -H.energy(x))
    levels, others = H.energy(x).sort().values, opposite.energy(x).sort().values
    assert (levels - others).abs().max() > 0.1
    assert abs(exact.log_partition(H, 2.0) - exact.log_partition(opposite, 2.0)) > 0.03
    # What is one: x_i -> e_i x_i with J_ij -> e_i e_j J_ij.
    signs = torch.sign(torch.randn(n, generator=torch.Generator().manual_seed(0))).double()
    gauged = arnn.PairwiseHamiltonian(signs[:, None] * H.couplings * signs)
    torch.testing.assert_close(gauged.energy(x * signs), H.energy(x))
