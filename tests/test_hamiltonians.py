"""The Hamiltonians against plain loops, and what happens when they are asked for wrongly."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arnn
from arnn.hamiltonians import as_count, as_finite, as_positive


def random_matrix(n, seed):
    upper = np.triu(np.random.default_rng(seed).normal(size=(n, n)), 1)
    return upper + upper.T


def spins(n):
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=n)), dtype=torch.float64)


def energy_by_loops(couplings, fields, x):
    """H = - sum_{i<j} J_ij x_i x_j - sum_i h_i x_i, as printed, in Python numbers."""
    n = len(x)
    pairs = sum(couplings[i][j] * x[i] * x[j] for i in range(n) for j in range(i + 1, n))
    return -pairs - sum(h * s for h, s in zip(fields, x, strict=True))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(n=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_energy_counts_each_pair_once(n, seed):
    couplings = random_matrix(n, seed)
    fields = np.random.default_rng(seed + 1).normal(size=n)
    energies = arnn.PairwiseHamiltonian(couplings, fields).energy(spins(n))
    expected = [energy_by_loops(couplings, fields, x) for x in spins(n).tolist()]
    assert energies.tolist() == pytest.approx(expected, abs=1e-12)


def test_without_fields_a_global_flip_costs_nothing_and_with_them_it_does():
    x = spins(5)
    couplings = random_matrix(5, 3)
    free = arnn.PairwiseHamiltonian(couplings)
    torch.testing.assert_close(free.energy(x), free.energy(-x), rtol=0, atol=1e-13)
    held = arnn.PairwiseHamiltonian(couplings, np.arange(1.0, 6.0))
    change = held.energy(-x) - held.energy(x)
    expected = 2 * x @ torch.arange(1.0, 6.0, dtype=x.dtype)
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-12)


def test_energy_has_the_type_of_the_spins():
    H = arnn.PairwiseHamiltonian(random_matrix(4, 0))
    assert H.dtype == torch.float64
    assert H.energy(spins(4).float()).dtype == torch.float32
    assert H.to(dtype=torch.float32).dtype == torch.float32
    assert arnn.curie_weiss(4).to(dtype=torch.float32).dtype == torch.float32


def test_the_hamiltonian_keeps_its_own_copy_of_the_couplings():
    given_couplings = torch.zeros(3, 3, dtype=torch.float64)
    H = arnn.PairwiseHamiltonian(given_couplings)
    given_couplings[0, 1] = given_couplings[1, 0] = 5
    assert not H.couplings.any()


@settings(deadline=None, derandomize=True, max_examples=15)
@given(n=st.integers(1, 7), coupling=st.floats(-3, 3), field=st.floats(-3, 3))
def test_curie_weiss_is_the_pairwise_model_of_equal_couplings(n, coupling, field):
    H = arnn.curie_weiss(n, coupling, field)
    matrix = np.full((n, n), coupling / n)
    np.fill_diagonal(matrix, 0)
    assert np.allclose(H.couplings, matrix, rtol=0, atol=1e-15)
    x = spins(n)
    expected = [energy_by_loops(matrix, [field] * n, row) for row in x.tolist()]
    assert H.energy(x).tolist() == pytest.approx(expected, abs=1e-12)
    by_sum = H.energy_of_sum(x.sum(1))
    assert by_sum.tolist() == pytest.approx(expected, abs=1e-12)


def test_a_large_curie_weiss_model_makes_no_matrix():
    H = arnn.curie_weiss(10**5, 1.0, 0.5)
    up = torch.ones(1, H.n, dtype=torch.float64)
    assert float(H.energy(up)) == pytest.approx(-(H.n - 1) / 2 - 0.5 * H.n)


def test_the_instances_of_the_paper_are_drawn_row_by_row_below_the_diagonal():
    n, seed = 7, 3
    draw, expected = np.random.RandomState(seed), np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            expected[i, j] = expected[j, i] = draw.normal(0, 1 / np.sqrt(n))
    H = arnn.sherrington_kirkpatrick(n, seed)
    assert np.array_equal(H.couplings, expected)
    assert not H.fields.any()
    assert not np.array_equal(H.couplings, arnn.sherrington_kirkpatrick(n, 4).couplings)


def test_the_couplings_of_a_large_instance_have_variance_one_over_n():
    n = 300
    couplings = arnn.sherrington_kirkpatrick(n, 1).couplings[tuple(np.tril_indices(n, -1))]
    count = len(couplings)
    assert abs(float(couplings.mean())) < 4 / np.sqrt(n * count)
    assert float(couplings.var()) * n == pytest.approx(1, abs=4 * np.sqrt(2 / count))


def test_fingerprints_tell_hamiltonians_apart_and_nothing_else():
    couplings = random_matrix(4, 0)
    H = arnn.PairwiseHamiltonian(couplings)
    assert H.fingerprint() == arnn.PairwiseHamiltonian(couplings.copy()).fingerprint()
    changed = couplings.copy()
    changed[0, 1] = changed[1, 0] = np.nextafter(changed[0, 1], 9)
    others = [
        arnn.PairwiseHamiltonian(changed),
        arnn.PairwiseHamiltonian(couplings, [0, 0, 0, 1e-9]),
        arnn.PairwiseHamiltonian(-couplings),
    ]
    assert len({H.fingerprint(), *(other.fingerprint() for other in others)}) == 4


@pytest.mark.parametrize(
    ("couplings", "fields", "message"),
    [
        (np.zeros((2, 3)), None, r"couplings must be a square matrix, not .* shape \(2, 3\)"),
        (np.zeros(4), None, r"couplings must be a square matrix, not .* shape \(4,\)"),
        (np.zeros((0, 0)), None, "couplings must be for at least one spin"),
        ([[0, 1], [2, 0]], None, r"must be symmetric, but J\[0, 1\] = 1\.0 and J\[1, 0\] = 2\.0"),
        ([[0, 1], [1, 3]], None, r"must have a zero diagonal, but J\[1, 1\] = 3"),
        ([[0, np.nan], [np.nan, 0]], None, "couplings must be finite"),
        ([[0, np.inf], [np.inf, 0]], None, "couplings must be finite"),
        ("couplings", None, "couplings must be an array of numbers"),
        ([[0, "a"], ["a", 0]], None, "couplings must be an array of numbers"),
        ([[0, 1], [1]], None, "couplings must be an array of numbers"),
        (np.zeros((2, 2)), np.zeros(3), r"fields must have shape \(2,\), not \(3,\)"),
        (np.zeros((2, 2)), np.zeros((2, 1)), r"fields must have shape \(2,\), not \(2, 1\)"),
        (np.zeros((2, 2)), 0.5, r"fields must have shape \(2,\), not \(\)"),
        (np.zeros((2, 2)), [0, np.nan], "fields must be finite"),
        (np.zeros((2, 2)), ["a", "b"], "fields must be an array of numbers"),
    ],
)
def test_a_wrong_hamiltonian_is_refused_with_what_is_wrong(couplings, fields, message):
    with pytest.raises(ValueError, match=message):
        arnn.PairwiseHamiltonian(couplings, fields)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 5), (1, 2, 4)])
@pytest.mark.parametrize("model", [arnn.curie_weiss(4), arnn.PairwiseHamiltonian(np.zeros((4, 4)))])
def test_spins_of_a_wrong_shape_are_refused(shape, model):
    with pytest.raises(ValueError, match=r"spins must have shape \(batch, 4\), not"):
        model.energy(torch.ones(shape, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: arnn.curie_weiss(0), "n must be an integer of at least 1, not 0"),
        (lambda: arnn.curie_weiss(2.5), "n must be an integer of at least 1, not 2.5"),
        (lambda: arnn.curie_weiss(True), "n must be an integer of at least 1, not True"),
        (lambda: arnn.curie_weiss(3, coupling=np.nan), "coupling must be a finite number, not nan"),
        (lambda: arnn.curie_weiss(3, field=np.inf), "field must be a finite number, not inf"),
        (lambda: arnn.curie_weiss(3, field="weak"), "field must be a finite number, not 'weak'"),
        (lambda: arnn.sherrington_kirkpatrick(0, 1), "n must be an integer of at least 1"),
        (lambda: arnn.sherrington_kirkpatrick(4, -1), "seed must be an integer of at least 0"),
        (lambda: arnn.sherrington_kirkpatrick(4, 1.0), "seed must be an integer of at least 0"),
        (lambda: arnn.sherrington_kirkpatrick(4, 2**32), r"seed must be below 2\*\*32"),
    ],
)
def test_a_wrong_model_is_refused_with_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "0.5", None, True, [1.0, 2.0]])
def test_what_is_not_positive_is_refused_by_name(value):
    with pytest.raises(ValueError, match="beta must be a positive finite number, not "):
        as_positive("beta", value)


@pytest.mark.parametrize("value", [np.nan, -np.inf, "0.5", None, False])
def test_what_is_not_finite_is_refused_by_name(value):
    with pytest.raises(ValueError, match="field must be a finite number, not "):
        as_finite("field", value)


@pytest.mark.parametrize("value", [2, -1, 3.0, "3", None, True, np.float64(3)])
def test_what_is_no_count_is_refused_by_name(value):
    with pytest.raises(ValueError, match="batch must be an integer of at least 3, not "):
        as_count("batch", value, at_least=3)


def test_numbers_of_numpy_and_torch_are_numbers():
    assert as_positive("beta", np.float32(0.5)) == 0.5
    assert as_positive("beta", torch.tensor(0.5)) == 0.5
    assert as_finite("field", -3) == -3.0
    assert as_count("n", np.int64(3)) == 3
