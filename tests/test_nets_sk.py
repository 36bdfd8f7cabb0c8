"""SK_kRSB: its formula written out, its start as free spins, and what it learns at twenty spins."""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import estimators, exact, training
from arnn.nets import SKRSB, AutoregressiveNet

STEPS = [0, 1, 2, 3]


def random_hamiltonian(n, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    upper = np.triu(scale * rng.normal(size=(n, n)), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.6 * rng.normal(size=n))


def some_spins(n, count=40):
    if n <= 6:
        return exact.configurations(n)
    bits = torch.randint(0, 2, (count, n), generator=torch.Generator().manual_seed(0))
    return (2 * bits - 1).double()


def randomised(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.7 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return net


def brute_force(net, couplings, x):
    """The logits of every row of x, number by number."""

    def log_sigmoid(t):
        return -math.log1p(math.exp(-t)) if t > 0 else t - math.log1p(math.exp(t))

    weights, biases = (
        [tensor.tolist() for tensor in tensors] for tensors in (net.weights, net.biases)
    )
    omega, bias, h = net.omega.tolist(), net.bias.tolist(), net.fields.tolist()
    table = torch.zeros_like(x)
    for row, spins in enumerate(x.tolist()):
        pair = 0
        for i in range(net.n):
            field = [sum(couplings[s][m] * spins[s] for s in range(i)) for m in range(net.n)]
            logit = omega[i] * (h[i] + field[i]) + bias[i]
            for m in range(i + 1, net.n):
                for sign in (0, 1):
                    value = field[m]
                    for level in range(net.k + 1, 0, -1):
                        b, w = biases[level - 1][sign][pair], weights[level][sign][pair]
                        value = log_sigmoid(b + w * value)
                    logit += weights[0][sign][pair] * value
                pair += 1
            table[row, i] = logit
    return table


def free_spins(couplings, fields, beta, x):
    """2 beta (h_i + xi_ii) + sum_l [ln cosh beta(a_l + J_il) - ln cosh beta(a_l - J_il)]."""
    table = torch.zeros_like(x)
    for i in range(x.shape[1]):
        local = fields + x[:, :i] @ couplings[:i]
        later, own = local[:, i + 1 :], couplings[i, i + 1 :]
        ratio = torch.cosh(beta * (later + own)) / torch.cosh(beta * (later - own))
        table[:, i] = 2 * beta * local[:, i] + ratio.log().sum(1)
    return table


# ---- The formula -------------------------------------------------------------------------------


@pytest.mark.parametrize("k", STEPS)
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_logits_are_their_formula(n, k):
    H, x = random_hamiltonian(n, n), some_spins(n)
    net = randomised(SKRSB(H, k, beta=0.8))
    expected = brute_force(net, H.couplings.tolist(), x)
    torch.testing.assert_close(net.logits(x).detach(), expected, rtol=0, atol=1e-10)
    one_by_one = AutoregressiveNet.logits(net, x).detach()
    torch.testing.assert_close(one_by_one, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("k", STEPS)
def test_a_learned_first_layer_takes_the_place_of_the_couplings(k):
    H, x = random_hamiltonian(5, 1), some_spins(5)
    net = randomised(SKRSB(H, k, beta=0.8, learn_first_layer=True))
    expected = brute_force(net, net.couplings.tolist(), x)
    torch.testing.assert_close(net.logits(x).detach(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("k", STEPS)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_physics_start_is_free_later_spins_for_every_k(n, k):
    H, x, beta = random_hamiltonian(n, 3), some_spins(n), 0.9
    logits = SKRSB(H, k, beta=beta).logits(x).detach()
    expected = free_spins(H.couplings, H.fields, beta, x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


def test_the_physics_start_is_exact_where_later_spins_are_free():
    """A star: spin 0 is coupled with all others, which are not coupled with each other."""
    couplings = torch.zeros(6, 6, dtype=torch.float64)
    couplings[0, 1:] = torch.linspace(-1, 1.5, 5, dtype=torch.float64)
    H = arnn.PairwiseHamiltonian(couplings + couplings.T, torch.linspace(-0.5, 0.7, 6))
    x = exact.configurations(6)
    logits = SKRSB(H, 1, beta=1.3).logits(x).detach()
    expected = exact.conditional_logits(H, 1.3, x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)


def test_the_numbers_of_one_conditional_lie_together_and_none_is_shared():
    net = SKRSB(random_hamiltonian(7, 0), 0, beta=1.0)
    owned = [index for i in range(7) for index in range(21)[net.pairs(i)]]
    assert owned == list(range(21))
    assert [len(range(21)[net.pairs(i)]) for i in range(7)] == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("k", STEPS)
def test_the_two_parts_of_a_logit_are_the_two_log_rho(k):
    H = random_hamiltonian(6, 2)
    net = SKRSB(H, k, beta=0.7)
    fields = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(3, 4)
    plus, minus = net.log_rho(2, fields).detach()
    local, own = H.fields[3:, None] + fields, H.couplings[2, 3:, None]

    def up_to_terms_of_both(sign):
        total = (local + sign * own).mul(0.7)
        return (torch.log(torch.cosh(total)) - 0.7 * local).sum(0)

    expected = up_to_terms_of_both(1) - up_to_terms_of_both(-1)
    found = plus + minus + net.bias[2].detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", STEPS)
def test_the_logit_is_additive_in_the_fields(k):
    """Changing two fields changes the logit by the sum of what each change does alone."""
    net = SKRSB(random_hamiltonian(8, 4), k, beta=1.0)
    with torch.no_grad():
        for numbers in net.biases:
            numbers += torch.linspace(-0.5, 0.5, 28, dtype=torch.float64)
    fields = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    for a, b in ((0, 1), (1, 4), (2, 3)):
        logits = {}
        for da in (0, 1.7):
            for db in (0, -2.3):
                moved = fields.clone()
                moved[a], moved[b] = moved[a] + da, moved[b] + db
                logits[da, db] = float(net.log_rho(2, moved).detach().sum())
        assert abs(logits[1.7, 0] - logits[0, 0]) > 1e-3
        mixed = logits[1.7, -2.3] - logits[1.7, 0] - logits[0, -2.3] + logits[0, 0]
        assert abs(mixed) < 1e-12


def test_one_step_more_contains_the_net():
    """-ln(1 + A e^-u) nests: with unit weights one more log-sigmoid only shifts the argument."""
    H, x = random_hamiltonian(6, 5), exact.configurations(6)
    small = randomised(SKRSB(H, 0, beta=1.0))
    large = SKRSB(H, 1, beta=1.0)
    shift = 1.3  # any value of the new bias
    with torch.no_grad():
        # ls(-shift + ls(u)) = ls(u - shift + ln(1 + e^shift)) - ln(1 + e^shift)
        large.omega.copy_(small.omega)
        large.weights[0].copy_(small.weights[0])
        large.biases[0].fill_(-shift)
        large.weights[1].fill_(1)
        large.biases[1].copy_(small.biases[0] + shift - math.log1p(math.exp(shift)))
        large.weights[2].copy_(small.weights[1])
        lost = small.weights[0].sum(0) * math.log1p(math.exp(shift))
        for i in range(6):
            large.bias[i] = small.bias[i] + lost[small.pairs(i)].sum()
    torch.testing.assert_close(large.logits(x), small.logits(x), rtol=0, atol=1e-11)


# ---- Numbers, temperature, first layer ---------------------------------------------------------


@pytest.mark.parametrize("k", STEPS)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_numbers_counted_by_conditional(n, k):
    # Per later spin and sign: w_0 and k+1 pairs (b, w). Per conditional: omega and b.
    count = sum(2 * (n - i) * (1 + 2 * (k + 1)) + 2 for i in range(1, n + 1))
    H = random_hamiltonian(n, 0)
    net = SKRSB(H, k, beta=1.0)
    assert net.num_parameters() == count == (2 * k + 3) * n * (n - 1) + 2 * n
    learned = SKRSB(H, k, beta=1.0, learn_first_layer=True)
    assert learned.num_parameters() == count + n * (n - 1) // 2


@pytest.mark.parametrize(("k", "count"), [(0, 119_800), (1, 199_400), (2, 279_000)])
def test_the_counts_at_200_spins(k, count):
    assert SKRSB(arnn.sherrington_kirkpatrick(200, 1), k, beta=1.0).num_parameters() == count


@pytest.mark.parametrize("k", STEPS)
def test_the_physics_start_moves_with_the_temperature(k):
    H, x = random_hamiltonian(5, 0), exact.configurations(5)
    net = SKRSB(H, k, beta=0.5)
    net.set_beta(2.0)
    expected = SKRSB(H, k, beta=2.0).logits(x)
    torch.testing.assert_close(net.logits(x), expected, rtol=0, atol=1e-12)
    assert net.omega.tolist() == [4.0] * 5
    assert not net.omega.requires_grad


def test_moving_there_and_back_changes_nothing():
    H, x = random_hamiltonian(5, 0), exact.configurations(5)
    net = randomised(SKRSB(H, 2, beta=0.5))
    net.set_beta(0.5)
    logits = net.logits(x)
    net.set_beta(1.3)
    assert not torch.allclose(net.logits(x), logits)
    net.set_beta(0.5)
    torch.testing.assert_close(net.logits(x), logits, rtol=0, atol=1e-12)


def test_annealing_carries_what_was_learned_to_the_next_temperature():
    """With the innermost numbers left behind, a short annealing ends twice as far or more."""

    class Left(SKRSB):
        @torch.no_grad()
        def set_beta(self, beta):
            self.omega.fill_(2 * beta)

    H = arnn.sherrington_kirkpatrick(10, 1)
    divergences = []
    for cls in (SKRSB, Left):
        net = cls(H.to(dtype=torch.float32), 1, beta=0.25)
        schedule = {"steps": 50, "batch": 300, "lr": 5e-3, "final_lr": 1e-3}
        training.minimise_free_energy(net, H.to(dtype=torch.float32), [0.25, 0.5, 1, 2], **schedule)
        with torch.no_grad():
            divergences.append(float(exact.variational_free_energy(net.double(), H, 2.0).kl))
    assert 0 < 2 * divergences[0] < divergences[1]


def test_after_the_start_of_the_paper_omega_alone_moves():
    net = SKRSB(random_hamiltonian(5, 0), 1, beta=0.5, init="paper")
    before = {name: p.clone() for name, p in net.named_parameters()}
    net.set_beta(2.0)
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"omega"}
    assert net.omega.tolist() == [4.0] * 5


def test_a_net_that_learns_its_first_layer_stays():
    net = SKRSB(random_hamiltonian(5, 0), 1, beta=0.5, learn_first_layer=True)
    before = [p.clone() for p in net.parameters()]
    net.set_beta(2.0)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert net.omega.requires_grad


def test_the_first_layer_is_the_hamiltonian_and_stays():
    H = random_hamiltonian(5, 0)
    net = SKRSB(H, 1, beta=0.5)
    assert torch.equal(net.couplings, H.couplings)
    assert not net.couplings.requires_grad
    net.couplings[0, 1] += 1
    assert not torch.equal(net.couplings, H.couplings)  # a copy


def test_only_the_weights_of_earlier_spins_are_learned():
    H, x = random_hamiltonian(6, 0), exact.configurations(6)
    generator = torch.Generator().manual_seed(0)
    net = SKRSB(H, 1, beta=0.5, learn_first_layer=True, init="paper", generator=generator)
    net.log_prob(x).mul(torch.linspace(0, 1, 64, dtype=torch.float64)).sum().backward()
    upper = torch.triu(torch.ones(6, 6), 1) > 0
    assert (net.couplings.grad[upper] != 0).all()
    assert not net.couplings.grad[~upper].any()
    assert not net.couplings.detach()[~upper].any()
    assert (net.omega.grad[1:] != 0).all()


@pytest.mark.parametrize("init", ["physics", "paper"])
def test_a_learned_first_layer_starts_small_whatever_the_couplings(init):
    nets = [
        SKRSB(
            random_hamiltonian(60, seed),
            0,
            beta=1.0,
            init=init,
            learn_first_layer=True,
            generator=torch.Generator().manual_seed(3),
        )
        for seed in (0, 1)
    ]
    assert torch.equal(nets[0].couplings, nets[1].couplings)
    acting = nets[0].couplings.detach()[tuple(torch.triu_indices(60, 60, 1))]
    assert float(acting.std()) == pytest.approx(1 / 60, rel=0.05)
    assert abs(float(acting.mean())) < 1e-3


def test_the_start_of_the_paper_is_normal_numbers_of_deviation_one_over_n():
    H = random_hamiltonian(60, 0)

    def make(seed):
        return SKRSB(H, 1, beta=0.7, init="paper", generator=torch.Generator().manual_seed(seed))

    net, again, other = make(1), make(1), make(2)
    for p, q, r in zip(net.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
        if p is net.omega:
            assert (p == 1.4).all()
        else:
            assert not torch.equal(p, r)
            assert float(p.detach().std()) == pytest.approx(1 / 60, rel=5 / math.sqrt(p.numel()))
            assert abs(float(p.detach().mean())) < 5 / 60 / math.sqrt(p.numel())


def test_the_net_lives_where_the_hamiltonian_does_unless_told_otherwise():
    H = random_hamiltonian(4, 0)
    assert SKRSB(H, 0, beta=1.0).dtype == torch.float64
    single = SKRSB(H, 0, beta=1.0, dtype=torch.float32)
    assert single.dtype == torch.float32
    assert {t.dtype for t in single.state_dict().values()} == {torch.float32}
    assert SKRSB(H.to(dtype=torch.float32), 0, beta=1.0).dtype == torch.float32


@pytest.mark.parametrize("k", [-1, 0.0, "1", None, True])
def test_a_wrong_k_is_refused(k):
    with pytest.raises(ValueError, match="k must be an integer of at least 0, not "):
        SKRSB(random_hamiltonian(3, 0), k, beta=1.0)


@pytest.mark.parametrize("init", ["zero", "Physics", None])
def test_an_unknown_start_is_refused(init):
    with pytest.raises(ValueError, match='init must be "physics" or "paper", not '):
        SKRSB(random_hamiltonian(3, 0), 0, beta=1.0, init=init)


# ---- What it reaches ---------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2])
def test_free_energy_of_twenty_spins_before_and_after_training(k):
    """Means of five instances of (F - F_exact) / |F_exact| at beta = 1."""
    before, after, single = [], [], {"dtype": torch.float32}
    for seed in range(1, 6):
        H = arnn.sherrington_kirkpatrick(20, seed, **single)
        truth = -exact.log_partition(arnn.sherrington_kirkpatrick(20, seed), 1.0) / 20
        net = SKRSB(H, k, beta=1.0)
        for errors in (before, after):
            generator = torch.Generator().manual_seed(seed)
            estimate = estimators.free_energy(net, H, 1.0, 20_000, generator=generator)
            assert estimate.f_error < 2e-3 * abs(truth)
            errors.append((estimate.f - truth) / abs(truth))
            if errors is before:
                schedule = {"steps": 200, "batch": 1024, "lr": 1e-2, "final_lr": 1e-3}
                training.minimise_free_energy(net, H, [1.0], seed=seed, **schedule)
    assert min(before) > 1e-3
    assert min(after) > 0
    assert np.mean(before) <= 2e-2
    assert np.mean(after) <= 1.5e-3
