"""The transfer matrix against enumeration and Kaufman's solution, and the net made of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

import arnn
from arnn import exact, lattices
from arnn.experiments import free_energy_of
from arnn.nets import H2ARNN, SKRSB, TransferMatrix

few = settings(deadline=None, derandomize=True, max_examples=20)


def sparse_model(n, seed, density=0.4):
    """Random couplings, most of them zero, and fields."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < density), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, rng.normal(size=n))


def kaufman(rows, columns, coupling):
    """ln Z of the ferromagnet on a torus, beta J = `coupling`: Kaufman (1949)."""
    k = np.arange(2 * columns)
    c = math.cosh(2 * coupling) / math.tanh(2 * coupling) - np.cos(np.pi * k / columns)
    gamma = np.arccosh(c)
    gamma[0] = 2 * coupling + math.log(math.tanh(coupling))
    half = rows * gamma / 2
    products = []
    for which in (slice(1, None, 2), slice(0, None, 2)):
        products.append((np.log(2 * np.cosh(half[which])).sum(), 1))
        sines = 2 * np.sinh(half[which])
        products.append((np.log(np.abs(sines)).sum(), np.sign(sines).prod()))
    logs, signs = zip(*products, strict=True)
    volume = rows * columns
    return (
        volume / 2 * math.log(2 * math.sinh(2 * coupling))
        - math.log(2)
        + float(logsumexp(logs, b=signs))
    )


# ---- Builders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("closed_rows", [False, True])
@pytest.mark.parametrize("closed_columns", [False, True])
def test_the_energy_is_the_sum_over_bonds(closed_rows, closed_columns):
    rng = np.random.default_rng(3)
    horizontal = rng.normal(size=(4, 3 if closed_rows else 2))
    vertical = rng.normal(size=(4 if closed_columns else 3, 3))
    fields = rng.normal(size=(4, 3))
    H = lattices.square_lattice(horizontal, vertical, fields)
    x = exact.configurations(12)[::37].numpy().reshape(-1, 4, 3)
    energy = np.zeros(len(x))
    for b, spins in enumerate(x):
        for r in range(4):
            for c in range(3):
                energy[b] -= fields[r, c] * spins[r, c]
                if c + 1 < 3 or closed_rows:
                    energy[b] -= horizontal[r, c] * spins[r, c] * spins[r, (c + 1) % 3]
                if r + 1 < 4 or closed_columns:
                    energy[b] -= vertical[r, c] * spins[r, c] * spins[(r + 1) % 4, c]
    found = H.energy(torch.from_numpy(x.reshape(-1, 12))).numpy()
    np.testing.assert_allclose(found, energy, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("closed", "bonds"), [(False, 4 * 4 + 3 * 5), (True, 2 * 20)])
def test_the_plus_minus_j_model_has_a_bond_for_each_pair_of_neighbours(closed, bonds):
    H = lattices.edwards_anderson(4, 5, 1, closed=closed, field=0.3)
    values = torch.triu(H.couplings)[torch.triu(H.couplings) != 0]
    assert len(values) == bonds
    assert set(values.tolist()) == {-1, 1}
    assert H.fields.tolist() == [0.3] * 20
    again = lattices.edwards_anderson(4, 5, 1, closed=closed, field=0.3)
    assert torch.equal(H.couplings, again.couplings)
    other = lattices.edwards_anderson(4, 5, 2, closed=closed)
    assert not torch.equal(H.couplings, other.couplings)


@pytest.mark.parametrize(
    ("horizontal", "vertical", "message"),
    [
        (np.ones((3, 3)), np.ones((1, 3)), "fit no lattice"),
        (np.ones((3, 5)), np.ones((2, 3)), "fit no lattice"),
        (np.ones(3), np.ones((2, 3)), "must be tables of rows and columns"),
        (np.ones((3, 2)), np.ones((3, 2)), "a closed row has at least 3 sites, not 2"),
        (np.ones((2, 2)), np.ones((2, 3)), "a closed column has at least 3 sites, not 2"),
    ],
)
def test_tables_that_do_not_fit_are_refused(horizontal, vertical, message):
    with pytest.raises(ValueError, match=message):
        lattices.square_lattice(horizontal, vertical)


def test_fields_of_a_wrong_shape_and_wrong_counts_are_refused():
    with pytest.raises(ValueError, match=r"fields must have shape \(3, 3\), not \(9,\)"):
        lattices.square_lattice(np.ones((3, 2)), np.ones((2, 3)), np.ones(9))
    with pytest.raises(ValueError, match="rows must be an integer of at least 1"):
        lattices.edwards_anderson(0, 3, 1)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
        lattices.edwards_anderson(3, 3, -1)
    with pytest.raises(ValueError, match="a closed column has at least 3 sites, not 2"):
        lattices.edwards_anderson(2, 3, 1, closed=True)


# ---- ln Z --------------------------------------------------------------------------------------


@few
@given(
    n=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 1),
    beta=st.floats(0.05, 3),
)
def test_ln_z_is_that_of_enumeration(n, seed, density, beta):
    H = sparse_model(n, seed, density)
    expected = exact.log_partition(H, beta)
    assert lattices.log_partition(H, beta) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("field", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 5), (4, 4)])
def test_ln_z_of_small_lattices_is_that_of_enumeration(shape, field, closed):
    H = lattices.edwards_anderson(*shape, 5, closed=closed, field=field)
    for beta in (0.2, 1.0, 4.0):
        expected = exact.log_partition(H, beta)
        assert lattices.log_partition(H, beta) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (4, 4), (5, 4), (8, 6), (6, 8), (8, 8)])
@pytest.mark.parametrize("coupling", [0.1, 0.3, 0.44068679350977147, 0.6, 1.5])
def test_ln_z_of_the_ferromagnet_is_that_of_kaufman(rows, columns, coupling):
    """On a torus, above, at and below the critical temperature of the infinite lattice."""
    ones = np.ones((rows, columns))
    found = lattices.log_partition(lattices.square_lattice(ones, ones), coupling)
    assert found == pytest.approx(kaufman(rows, columns, coupling), rel=1e-12)


def test_no_coupling_gives_independent_spins_and_a_chain_gives_its_formula():
    fields = np.linspace(-1, 1, 30)
    H = arnn.PairwiseHamiltonian(np.zeros((30, 30)), fields)
    expected = np.log(2 * np.cosh(0.8 * fields)).sum()
    assert lattices.log_partition(H, 0.8) == pytest.approx(expected, rel=1e-13)
    chain = lattices.square_lattice(np.full((1, 199), -1.5), np.ones((0, 200)))
    expected = math.log(2) + 199 * math.log(2 * math.cosh(0.8 * 1.5))
    assert lattices.log_partition(chain, 0.8) == pytest.approx(expected, rel=1e-13)


def test_a_flip_of_couplings_on_one_sublattice_changes_nothing():
    """Without frustration the +-J model is a ferromagnet in other words."""
    ones = np.ones((6, 6))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (6, 6))
    gauged = lattices.square_lattice(signs * np.roll(signs, -1, 1), signs * np.roll(signs, -1, 0))
    assert lattices.log_partition(gauged, 0.9) == pytest.approx(kaufman(6, 6, 0.9), rel=1e-12)
    assert not torch.equal(gauged.couplings, lattices.square_lattice(ones, ones).couplings)


def test_wide_boundaries_and_wrong_temperatures_are_refused():
    with pytest.raises(ValueError, match="at most 22 spins, and there is one of 29"):
        lattices.log_partition(arnn.sherrington_kirkpatrick(30, 1), 1.0)
    with pytest.raises(ValueError, match="at most 22 spins, and there is one of 30"):
        TransferMatrix(lattices.edwards_anderson(4, 30, 1), 1.0)
    with pytest.raises(
        ValueError, match=r"the tables would hold 1\.9e\+09 numbers, .*log_partition"
    ):
        TransferMatrix(lattices.edwards_anderson(22, 22, 1), 1.0)
    with pytest.raises(ValueError, match="beta must be a positive finite number, not 0"):
        lattices.log_partition(lattices.edwards_anderson(3, 3, 1), 0)


# ---- What is left of the past ------------------------------------------------------------------


@pytest.mark.parametrize(
    "H",
    [sparse_model(8, 4), lattices.edwards_anderson(3, 3, 1, field=0.3)],
    ids=["random graph", "lattice"],
)
def test_the_conditionals_depend_on_the_boundaries_alone(H):
    x = exact.configurations(H.n)
    logits, kept = exact.conditional_logits(H, 1.3, x), lattices.boundaries(H)
    acting = 0
    for i in range(H.n):
        for s in range(i):
            flipped = x.clone()
            flipped[:, s] *= -1
            change = (exact.conditional_logits(H, 1.3, flipped) - logits)[:, i].abs().max()
            assert change < 1e-12 or s in kept[i], (i, s)
            acting += int(change > 1e-6)
    if H.n == 9:  # the later sites of a lattice are connected, so all of the boundary counts
        assert acting == sum(map(len, kept))
    assert kept[0] == kept[H.n] == []


@pytest.mark.parametrize(("closed", "widest"), [(False, 5), (True, 10)])
def test_a_lattice_has_boundaries_of_one_row_or_two(closed, widest):
    H = lattices.edwards_anderson(7, 5, 1, closed=closed)
    assert max(map(len, lattices.boundaries(H))) == widest


def test_fields_of_the_past_are_those_that_differ_from_zero():
    H = sparse_model(9, 2, density=0.3)
    x, acted = exact.configurations(9), lattices.fields_of_the_past(H)
    for i in range(9):
        fields = x[:, :i] @ H.couplings[:i]
        expected = [m for m in range(i + 1, 9) if fields[:, m].abs().max() > 0]
        assert acted[i] == expected
    dense = lattices.fields_of_the_past(arnn.sherrington_kirkpatrick(9, 1))
    assert [len(each) for each in dense] == [0, *range(7, -1, -1)]


# ---- The net -----------------------------------------------------------------------------------


@few
@given(n=st.integers(1, 9), seed=st.integers(0, 2**32 - 1), beta=st.floats(0.05, 2))
def test_the_net_is_the_boltzmann_distribution(n, seed, beta):
    H, x = sparse_model(n, seed), exact.configurations(n)
    net = TransferMatrix(H, beta)
    boltzmann = -beta * H.energy(x) - exact.log_partition(H, beta)
    torch.testing.assert_close(net.log_prob(x), boltzmann, rtol=0, atol=1e-11)
    torch.testing.assert_close(net.logits(x), H2ARNN(H, beta).logits(x), rtol=0, atol=1e-10)


def test_every_sample_of_a_large_lattice_has_the_same_weight():
    H = lattices.edwards_anderson(9, 7, 3, closed=False, field=0.2)
    net = TransferMatrix(H, 0.5)
    net.set_beta(1.7)
    x, log_prob = net.sample(200, torch.Generator().manual_seed(0))
    log_z = lattices.log_partition(H, 1.7)
    torch.testing.assert_close(log_prob, -1.7 * H.energy(x) - log_z, rtol=0, atol=1e-9)


def test_the_numbers_of_the_net_counted_one_by_one():
    H = lattices.edwards_anderson(6, 4, 1, field=0.1)
    net = TransferMatrix(H, 1.0)
    bonds = 6 * 3 + 5 * 4
    tables = sum(len(net.table(i)) for i in range(24))
    assert tables == sum(2 ** len(kept) for kept in lattices.boundaries(H)[1:])
    assert net.num_parameters() == bonds + 24 + tables


def test_the_free_spins_start_is_exact_where_later_spins_do_not_interact():
    """A star whose centre is drawn first: every later spin is free."""
    couplings = np.zeros((7, 7))
    couplings[0, 1:] = couplings[1:, 0] = np.linspace(-1, 1.2, 6)
    H, x = arnn.PairwiseHamiltonian(couplings, [0.3] * 7), exact.configurations(7)
    expected = TransferMatrix(H, 0.9).logits(x)
    found = SKRSB(H, 1, beta=0.9).logits(x).detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


# ---- Training ----------------------------------------------------------------------------------


def test_on_a_lattice_the_net_of_the_fields_is_closer_after_as_few_steps():
    H = lattices.edwards_anderson(5, 5, 1)
    schedule = {"beta_start": 0.5, "beta_end": 1.5, "beta_step": 0.5, "batch": 500, "threads": 1}
    schedule |= {"optimiser": "natural", "steps": 30, "first_steps": 300, "final_lr": 0.02}
    excess = {}
    for net in ("SKRSB", "1L"):
        data = free_energy_of(H, net=net, progress=False, **schedule, samples=5000).data
        true = [-lattices.log_partition(H, beta) / (beta * H.n) for beta in data["beta"]]
        excess[net] = data["f"] - true
        assert (excess[net] > -4 * data["f_error"]).all()
        assert (np.abs(data["f_importance"] - true) < 5 * data["f_importance_error"]).all()
    assert excess["SKRSB"].sum() < excess["1L"].sum() / 2
