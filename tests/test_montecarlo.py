"""Monte Carlo against exact laws at small n, against closed forms, and against its own errors."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

import arnn
from arnn import exact
from arnn import montecarlo as mc

SAMPLERS = {
    "metropolis, random sites": (mc.metropolis, "random"),
    "metropolis, in order": (mc.metropolis, "sequential"),
    "heat bath, random sites": (mc.heat_bath, "random"),
    "heat bath, in order": (mc.heat_bath, "sequential"),
}


def random_hamiltonian(n, seed, field_scale=0.5):
    """Couplings of both signs and of the SK scale, fields of both signs."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1) / math.sqrt(n)
    return arnn.PairwiseHamiltonian(upper + upper.T, field_scale * rng.normal(size=n))


def counts(x):
    """How often each of the 2^n configurations occurs, in the order of `configurations`."""
    x = x.reshape(-1, x.shape[-1])
    n = x.shape[1]
    codes = (x > 0).long() @ (2 ** torch.arange(n - 1, -1, -1))
    return torch.bincount(codes, minlength=2**n).double().numpy()


def chi_square_sigmas(x, probabilities):
    """The distance of chi square from its mean, in its standard deviations."""
    seen = counts(x)
    expected = seen.sum() * probabilities.numpy()
    chi_square, freedom = ((seen - expected) ** 2 / expected).sum(), len(seen) - 1
    spread = math.sqrt(2 * freedom + (1 / expected).sum())
    return (chi_square - freedom) / spread


# ---- One temperature ---------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.4, 1.1])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_chain_samples_the_boltzmann_law(name, beta):
    sampler, order = SAMPLERS[name]
    H = random_hamiltonian(8, 1)
    run = sampler(H, beta, 3000, sweeps=20, burn_in=100, chains=20, order=order, seed=5)
    law = exact.probabilities(H, beta)
    assert abs(chi_square_sigmas(run.x, law)) < 4
    # ... and the test would see a temperature that is wrong by a tenth
    assert chi_square_sigmas(run.x, exact.probabilities(H, 1.1 * beta)) > 8


def reversibility_sigmas(order):
    """How far the flows x -> y and y -> x of one sweep are from equal, from exact starts."""
    n, beta, chains = 4, 0.8, 20_000
    H = random_hamiltonian(n, 2)
    law = exact.probabilities(H, beta).numpy()
    states = np.random.default_rng(0).choice(2**n, size=chains, p=law)
    start = exact.configurations(n)[states].numpy()
    run = mc.metropolis(H, beta, 1, chains=chains, order=order, start=start, seed=3)
    ends = ((run.x[:, 0] > 0).long() @ torch.tensor([8, 4, 2, 1])).numpy()
    flow = np.zeros((2**n, 2**n))
    np.add.at(flow, (states, ends), 1)
    assert (np.abs(flow.sum(0) - chains * law) < 4.5 * np.sqrt(chains * law)).all()
    seen = np.triu(flow + flow.T > 0, 1)
    squares = ((flow - flow.T)[seen] ** 2 / (flow + flow.T)[seen]).sum()
    return (squares - seen.sum()) / math.sqrt(2 * seen.sum())


def test_random_sites_obey_detailed_balance_and_sequential_ones_only_invariance():
    assert abs(reversibility_sigmas("random")) < 4
    assert reversibility_sigmas("sequential") > 10


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.5])
def test_acceptance_is_that_of_the_boltzmann_law(beta):
    H = random_hamiltonian(6, 3)
    x = exact.configurations(6)
    costs = 2 * x * (x @ H.couplings + H.fields)  # (64, 6)
    law = torch.softmax(-beta * H.energy(x), 0)
    expected = float(law @ torch.exp(-beta * costs.clamp(min=0)).mean(1))
    run = mc.metropolis(H, beta, 20_000, burn_in=100, chains=20, seed=4)
    if beta == 0:
        assert (run.acceptance == 1).all()
    else:
        error = run.acceptance.std(ddof=1) / math.sqrt(20)
        assert abs(run.acceptance.mean() - expected) < 4 * error
        assert error < 0.003


def test_metropolis_at_small_beta_is_all_but_deterministic():
    """A finding: nearly every proposal is accepted. In order, a sweep turns every spin over; at
    random sites the parity of the number of up spins is kept. The heat bath forgets the start."""
    n, beta = 8, 1e-4
    H = random_hamiltonian(n, 1)
    law = exact.probabilities(H, beta)
    runs = {
        name: sampler(H, beta, 200, chains=200, order=order, start=torch.ones(n), seed=1)
        for name, (sampler, order) in SAMPLERS.items()
    }
    poles = {name: counts(run.x)[[0, -1]].sum() / 40_000 for name, run in runs.items()}
    even = {name: float((run.x.prod(2) > 0).double().mean()) for name, run in runs.items()}
    assert poles["metropolis, in order"] > 0.9
    assert runs["metropolis, in order"].x[:, :10].mean((0, 2)).diff().abs().min() > 1.9
    assert even["metropolis, random sites"] > 0.9
    assert poles["metropolis, random sites"] < 0.03
    assert abs(chi_square_sigmas(runs["heat bath, in order"].x, law)) < 4
    assert even["heat bath, in order"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sampler", [mc.metropolis, mc.heat_bath])
def test_energies_do_not_drift_from_the_spins(sampler):
    H = random_hamiltonian(30, 5)
    run = sampler(H, 0.3, 5, sweeps=20_000, chains=2, seed=0)
    for chain in range(2):
        assert run.energy[chain] == pytest.approx(H.energy(run.x[chain]).numpy(), abs=1e-10)


def test_records_begin_one_interval_after_the_start():
    H = random_hamiltonian(12, 6)
    every = mc.metropolis(H, 0.5, 12, seed=9)
    third = mc.metropolis(H, 0.5, 3, sweeps=3, burn_in=3, seed=9)
    assert torch.equal(third.x[0], every.x[0, 5::3])


def test_the_same_seed_gives_the_same_samples_whatever_the_number_of_chains():
    H = random_hamiltonian(10, 7)
    four = mc.metropolis(H, 0.7, 50, chains=4, seed=2)
    assert torch.equal(four.x, mc.metropolis(H, 0.7, 50, chains=4, seed=2).x)
    assert torch.equal(four.x[:2], mc.metropolis(H, 0.7, 50, chains=2, seed=2).x)
    assert not torch.equal(four.x, mc.metropolis(H, 0.7, 50, chains=4, seed=3).x)
    assert not torch.equal(four.x[0], four.x[1])
    one = mc.parallel_tempering(H, [0, 0.5, 1], samples=50, replicas=2, keep=(1,), seed=2)
    two = mc.parallel_tempering(H, [0, 0.5, 1], samples=50, replicas=3, keep=(1,), seed=2)
    assert torch.equal(one.x(1), two.x(1)[:2])
    assert np.array_equal(one.energies, two.energies[:2])
    assert not np.array_equal(two.energies[0], two.energies[1])


def test_the_start_is_where_a_chain_starts():
    H = random_hamiltonian(20, 8)
    start = torch.ones(2, 20)
    start[1, ::2] = -1
    cold = mc.metropolis(H, 1e6, 1, chains=2, start=start, order="sequential")
    again = mc.metropolis(H, 1e6, 1, chains=1, start=start[1], order="sequential", seed=77)
    assert torch.equal(cold.x[1], again.x[0])  # at T = 0 nothing is left to chance
    assert (cold.energy[:, 0] <= H.energy(start.double()).numpy()).all()


# ---- Parallel tempering ------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["heat_bath", "metropolis"])
def test_tempering_samples_the_law_at_every_temperature(update):
    H, betas = random_hamiltonian(8, 1), [0, 0.3, 0.8, 1.6]
    run = mc.parallel_tempering(
        H, betas, samples=30_000, replicas=8, update=update, keep=betas, thin=10, seed=3
    )
    for beta in betas:
        law = torch.softmax(-beta * H.energy(exact.configurations(8)), 0)
        assert abs(chi_square_sigmas(run.x(beta), law)) < 4
    assert chi_square_sigmas(run.x(0.8), exact.probabilities(H, 0.85)) > 4
    step = run.energies[2, 9::10, 3]
    assert step == pytest.approx(H.energy(run.x(1.6)[2]).numpy(), abs=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_free_energy_and_energy_are_those_of_enumeration(seed):
    """f at n = 16 within three of its own errors, which are at most 1e-4."""
    H = random_hamiltonian(16, seed)
    beta, samples = ((1.0, 180_000), (2.0, 85_000))[seed % 2]
    run = mc.parallel_tempering(
        H, mc.ladder(16, beta), samples=samples, sweeps=2, burn_in=500, seed=seed
    )
    truth = exact.thermodynamics(H, beta)
    assert run.f_error[-1] <= 1e-4
    assert abs(run.f[-1] + truth.log_partition / (beta * 16)) < 3 * run.f_error[-1]
    assert abs(run.energy[-1] - truth.energy / 16) < 4 * run.energy_error[-1]


def test_the_stated_errors_are_honest():
    H = random_hamiltonian(6, 4)
    betas = [0, 0.4, 0.9, 1.5]
    truth = np.array([exact.log_partition(H, beta) for beta in betas[1:]])
    energy = np.array([exact.thermodynamics(H, beta).energy for beta in betas[1:]]) / 6
    pulls = []
    for seed in range(150):
        run = mc.parallel_tempering(H, betas, samples=500, burn_in=20, seed=seed)
        pulls.append((run.log_partition[1:] - truth) / run.log_partition_error[1:])
        pulls.append((run.energy[1:] - energy) / run.energy_error[1:])
    pulls = np.array(pulls)
    assert (np.abs(pulls.mean(0)) < 4 / math.sqrt(300)).all()
    assert ((pulls.std(0) > 0.85) & (pulls.std(0) < 1.15)).all()


@pytest.mark.parametrize("coupling", [0.8, 1.3])
def test_free_energy_of_a_ferromagnet_of_a_hundred_spins(coupling):
    """The closed form at n = 100, through the transition, on a ladder adapted to this model."""
    H = arnn.curie_weiss(100, coupling)
    betas = mc.adapted_ladder(H, 1.5, include=(1.0,))
    run = mc.parallel_tempering(H, betas, samples=8000, seed=1)
    for beta in (1.0, 1.5):
        t = run.at(beta)
        truth = exact.curie_weiss_log_partition(100, beta, coupling)
        assert abs(run.log_partition[t] - truth) < 4 * run.log_partition_error[t]
        assert run.log_partition_error[t] < 0.1
    assert run.swap_rate.min() > 0.15


def test_beta_zero_is_known_without_sampling():
    run = mc.parallel_tempering(random_hamiltonian(9, 1), [0, 1], samples=100)
    assert run.log_partition[0] == 9 * math.log(2)
    assert run.log_partition_error[0] == 0
    assert run.f[0] == -math.inf
    assert run.f_error[0] == 0


def test_swap_rates_are_those_of_the_boltzmann_laws():
    H = random_hamiltonian(6, 3)
    energy = H.energy(exact.configurations(6))
    hot, cold = exact.probabilities(H, 0.4), exact.probabilities(H, 1.5)
    accept = torch.exp(1.1 * (energy[None] - energy[:, None]).clamp(max=0))  # [hot, cold]
    run = mc.parallel_tempering(H, [0, 0.4, 1.5], samples=20_000, sweeps=5, seed=1)
    expected = float(hot @ accept @ cold)
    # 80,000 swaps were proposed; five sweeps between them leave little memory
    assert abs(run.swap_rate[1] - expected) < 5 * math.sqrt(expected * (1 - expected) / 80_000)


def test_with_two_temperatures_each_swap_closes_a_round_trip():
    H = random_hamiltonian(6, 3)
    run = mc.parallel_tempering(H, [0, 1], samples=1000, burn_in=0, replicas=4)
    accepted = run.swap_rate[0] * 4 * 500
    assert 0 <= accepted - run.round_trips.sum() <= 4 * 2


def test_sizes_and_places_of_the_results():
    H, betas = random_hamiltonian(5, 1), [0, 0.5, 1.0, 2.0]
    run = mc.parallel_tempering(H, betas, samples=25, replicas=3, keep=(0.5, 2), thin=10)
    assert run.energies.shape == (3, 25, 4)
    assert run.x(2.0).shape == (3, 2, 5)
    assert run.x(0.5).dtype == torch.float64
    assert run.round_trips.shape == (3,)
    assert run.swap_rate.shape == (3,)
    for name in ("f", "f_error", "energy", "energy_error", "log_partition"):
        assert getattr(run, name).shape == (4,)
    assert run.at(1) == 2
    assert torch.equal(run.x(2)[1, 1], torch.from_numpy(run.spins[2.0][1, 1]).double())


def test_overlaps_are_means_of_products():
    x = 1 - 2 * torch.randint(2, (3, 5, 7), generator=torch.Generator().manual_seed(0))
    q = mc.overlaps(x)
    assert q.shape == (3, 5)
    for row, (a, b) in zip(q, [(0, 1), (0, 2), (1, 2)], strict=True):
        expected = [
            sum(int(u * v) for u, v in zip(x[a, s], x[b, s], strict=True)) / 7 for s in range(5)
        ]
        assert row.tolist() == pytest.approx(expected, abs=1e-15)


# ---- Ladders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [50, 200])
def test_the_ladder_of_an_sk_instance_swaps_everywhere(n):
    H = arnn.sherrington_kirkpatrick(n, 1)
    run = mc.parallel_tempering(H, mc.ladder(n, 2.0), samples=1000, replicas=4)
    assert run.swap_rate.min() > 0.3
    assert run.swap_rate.max() < 0.8
    assert run.round_trips.min() > 0


def test_ladders_hold_what_they_must_in_order():
    grid = np.arange(1, 21) / 10
    for betas in (
        mc.ladder(100, 2.0, include=grid),
        mc.adapted_ladder(random_hamiltonian(20, 1), 2.0, include=grid),
    ):
        assert betas[0] == 0
        assert betas[-1] == 2.0
        assert (np.diff(betas) > 0.01).all()
        assert np.isin(grid, betas).all()
    assert len(mc.ladder(1, 0.1)) == 2
    assert len(mc.ladder(400, 2.0)) == pytest.approx(2 * len(mc.ladder(100, 2.0)), abs=2)


def test_an_adapted_ladder_suits_a_hamiltonian_that_is_no_spin_glass():
    rng = np.random.default_rng(1)
    upper = np.triu(rng.normal(0.5, 1, size=(40, 40)), 1) / 4
    H = arnn.PairwiseHamiltonian(upper + upper.T, 2 * rng.normal(size=40))
    run = mc.parallel_tempering(H, mc.adapted_ladder(H, 3.0), samples=2000)
    assert run.swap_rate.min() > 0.25
    assert mc.parallel_tempering(H, mc.ladder(40, 3.0), samples=500).swap_rate.min() < 0.2


def test_an_adapted_ladder_ends_where_nothing_moves():
    H = arnn.PairwiseHamiltonian(np.zeros((3, 3)), np.array([1.0, -2.0, 5.0]))
    betas = mc.adapted_ladder(H, 50.0)
    run = mc.parallel_tempering(H, betas, samples=1000)
    truth = np.log(2 * np.cosh(betas[:, None] * [1, 2, 5])).sum(1)
    assert (np.abs(run.log_partition - truth)[1:] < 4 * run.log_partition_error[1:]).all()


# ---- Bennett's ratio ---------------------------------------------------------------------------


def test_bennett_is_exact_for_exact_frequencies():
    """Two levels, 0 and 1: half and half when hot, three to one when cold (a step of ln 3)."""
    d, influence = mc.bennett(math.log(3), [0, 0, 1, 1], [0, 0, 0, 1])
    assert d == pytest.approx(math.log((1 + 1 / 3) / 2), abs=1e-10)
    assert influence.mean() == pytest.approx(0, abs=1e-10)


def test_bennett_on_known_energies_is_right_and_its_error_too():
    H, hot, cold = random_hamiltonian(10, 2), 0.5, 1.0
    energy = H.energy(exact.configurations(10)).numpy()
    rng, pulls, deviations = np.random.default_rng(0), [], []
    truth = exact.log_partition(H, cold) - exact.log_partition(H, hot)
    laws = [exact.probabilities(H, beta).numpy() for beta in (hot, cold)]
    for _ in range(300):
        drawn = [rng.choice(energy, size=400, p=law) for law in laws]
        d, influence = mc.bennett(cold - hot, *drawn)
        deviations.append(d - truth)
        pulls.append((d - truth) / (influence.std() / math.sqrt(400)))
    assert abs(np.mean(pulls)) < 4 / math.sqrt(300)
    assert np.std(pulls) == pytest.approx(1, abs=4 / math.sqrt(600))
    # The optimal variance, Bennett's: 1/s = sum of p q / (p + q) over the states
    w = (cold - hot) * energy + truth
    overlap = float(laws[0] @ expit(-w))
    assert np.std(deviations) == pytest.approx(
        math.sqrt((1 / overlap - 2) / 400), rel=4 / math.sqrt(600)
    )


# ---- Bad input ---------------------------------------------------------------------------------

SK = arnn.sherrington_kirkpatrick(6, 0)
BAD_CHAINS = [
    ({"beta": -1.0}, "beta must not be negative"),
    ({"beta": math.nan}, "beta must be a finite number"),
    ({"samples": 0}, "samples must be an integer of at least 1"),
    ({"samples": 2.5}, "samples must be an integer"),
    ({"sweeps": 0}, "sweeps must be"),
    ({"burn_in": -1}, "burn_in must be"),
    ({"chains": 0}, "chains must be"),
    ({"order": "sideways"}, "order must be 'random' or 'sequential', not 'sideways'"),
    ({"seed": -1}, "seed must be"),
    ({"seed": None}, "seed must be"),
    ({"start": np.zeros(6)}, r"start must hold \+1 and -1 only"),
    ({"start": np.ones(5)}, r"start must have shape \(6,\) or \(1, 6\)"),
    ({"start": np.ones((2, 6))}, "start must have shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD_CHAINS)
@pytest.mark.parametrize("sampler", [mc.metropolis, mc.heat_bath])
def test_bad_chains(sampler, change, message):
    with pytest.raises(ValueError, match=message):
        sampler(SK, **({"beta": 1.0, "samples": 3} | change))


BAD_TEMPERING = [
    ({"betas": [0, 1, 1]}, "betas must be increasing"),
    ({"betas": [0, 1, 0.5]}, "betas must be increasing"),
    ({"betas": [-1, 0, 1]}, "betas must not be negative"),
    ({"betas": [0.5, 1]}, "betas must begin at 0"),
    ({"betas": [0]}, "betas must be at least two"),
    ({"betas": [0, math.inf]}, "betas must be at least two finite numbers"),
    ({"betas": "cold"}, "betas must be numbers"),
    ({"samples": 7}, "samples must be an integer of at least 8"),
    ({"replicas": 0}, "replicas must be"),
    ({"sweeps": 0}, "sweeps must be"),
    ({"burn_in": -3}, "burn_in must be"),
    ({"thin": 0}, "thin must be"),
    ({"thin": 11}, "thin must not be above the 10 samples"),
    ({"update": "kawasaki"}, "update must be 'heat_bath' or 'metropolis', not 'kawasaki'"),
    ({"keep": (0.7,)}, "beta = 0.7 is not in the ladder; the nearest is 0.5"),
    ({"seed": 1.5}, "seed must be"),
]


@pytest.mark.parametrize(("change", "message"), BAD_TEMPERING)
def test_bad_tempering(change, message):
    with pytest.raises(ValueError, match=message):
        mc.parallel_tempering(SK, **({"betas": [0, 0.5, 1], "samples": 10} | change))


def test_bad_requests_of_a_result():
    run = mc.parallel_tempering(SK, [0, 0.5, 1], samples=10, keep=(1,))
    with pytest.raises(ValueError, match=r"beta = 0\.3 is not in the ladder"):
        run.at(0.3)
    with pytest.raises(ValueError, match=r"no samples were kept at beta = 0\.5"):
        run.x(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mc.ladder(0, 1), "n must be"),
        (lambda: mc.ladder(10, 0), "beta_max must be a positive"),
        (lambda: mc.ladder(10, 1, include=(1.5,)), "include must lie between 0 and beta_max"),
        (lambda: mc.adapted_ladder(SK, -1), "beta_max must be a positive"),
        (lambda: mc.adapted_ladder(SK, 1, chains=2), "chains must be"),
        (lambda: mc.bennett(0, [1], [1]), "colder_minus_hotter must be a positive"),
        (lambda: mc.bennett(1, [1, 2], [1]), "energies must have one shape"),
        (lambda: mc.overlaps(torch.ones(1, 5, 5)), r"spins must be \+1 and -1"),
        (lambda: mc.overlaps(torch.zeros(2, 5, 5)), r"spins must be \+1 and -1"),
    ],
)
def test_other_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
