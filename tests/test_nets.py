"""Every net is a normalised, causal distribution that samples itself; the exact ones are exact."""

import inspect
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

import arnn
from arnn import estimators, exact, partial_sums
from arnn.nets import (
    H2ARNN,
    MADE,
    SKRSB,
    AutoregressiveNet,
    Cavity,
    CurieWeissInfinity,
    CurieWeissN,
    OneParameter,
    SingleLayer,
    TransferMatrix,
    limit_weights,
)

N = 6
few = settings(deadline=None, derandomize=True, max_examples=12)


def random_hamiltonian(n, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    upper = np.triu(scale * rng.normal(size=(n, n)), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.6 * rng.normal(size=n))


def randomised(net, seed=0):
    """The net with normal random numbers in every trainable place, masked ones included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            if p.requires_grad:
                p.copy_(0.7 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return net


MAKERS = {
    "H2": lambda n, beta: H2ARNN(random_hamiltonian(n, 1), beta),
    "Transfer matrix": lambda n, beta: TransferMatrix(random_hamiltonian(n, 1), beta),
    "CW_N": lambda n, beta: CurieWeissN(n, beta),
    "CW_N with field": lambda n, beta: CurieWeissN(n, beta, -1.3, 0.4),
    "CW_inf": lambda n, beta: CurieWeissInfinity(n, beta, 1.0, 0.2),
    "CW_inf with shared weight": lambda n, beta: CurieWeissInfinity(
        n, beta, train_shared=True, init="zero"
    ),
    "1P": lambda n, beta: OneParameter(n),
    "1L": lambda n, beta: SingleLayer(n),
    "MADE_13": lambda n, beta: MADE(n, 1, 3),
    "MADE_21": lambda n, beta: MADE(n, 2, 1),
    "MADE_22": lambda n, beta: MADE(n, 2, 2),
    "MADE_43": lambda n, beta: MADE(n, 4, 3),
    "SK_RS": lambda n, beta: SKRSB(random_hamiltonian(n, 1), 0, beta=beta),
    "SK_1RSB": lambda n, beta: SKRSB(random_hamiltonian(n, 1), 1, beta=beta),
    "Cavity": lambda n, beta: Cavity(random_hamiltonian(n, 1), 3, beta=beta),
    "SK_2RSB with first layer": lambda n, beta: SKRSB(
        random_hamiltonian(n, 1), 2, beta=beta, learn_first_layer=True
    ),
}
HAMILTON = (
    "H2",
    "Transfer",
    "SK",
    "Cavity",
)  # begin the names of the nets that are made of a Hamiltonian
FIXED = ("H2", "Transfer matrix", "CW_N", "CW_N with field")
TRAINABLE = [name for name in MAKERS if name not in FIXED]


def make(name, n=N, beta=0.8, seed=0):
    return randomised(MAKERS[name](n, beta), seed)


every_net = pytest.mark.parametrize("name", MAKERS)


def test_no_net_of_the_package_is_left_out():
    classes = {
        cls
        for _, cls in inspect.getmembers(arnn.nets, inspect.isclass)
        if cls not in (AutoregressiveNet, arnn.nets.SumNet)
    }
    assert {type(make(name)) for name in MAKERS} == classes


# ---- What every net must do --------------------------------------------------------------------


@every_net
@pytest.mark.parametrize("n", [1, 2, N])
def test_probabilities_sum_to_one(name, n):
    log_prob = make(name, n).log_prob(exact.configurations(n))
    assert float(log_prob.detach().exp().sum()) == pytest.approx(1, abs=1e-13)


@every_net
def test_a_spin_reaches_the_later_logits_only(name):
    net, x = make(name), exact.configurations(N)
    logits = net.logits(x)
    for j in range(N):
        flipped = x.clone()
        flipped[:, j] *= -1
        change = (net.logits(flipped) - logits).abs()
        assert change[:, : j + 1].max() <= 1e-13
        assert change[:, j + 1 :].numel() == 0 or change[:, j + 1 :].max() > 1e-3


@every_net
def test_the_recurrence_gives_the_parallel_logits(name):
    net, x = make(name), exact.configurations(N)
    one_by_one = AutoregressiveNet.logits(net, x)
    torch.testing.assert_close(one_by_one, net.logits(x), rtol=0, atol=1e-12)


@every_net
def test_the_chain_rule_gives_log_prob(name):
    net, x = make(name), exact.configurations(N)
    up = torch.sigmoid(net.logits(x))
    expected = torch.where(x > 0, up, 1 - up).prod(1)
    torch.testing.assert_close(net.log_prob(x).exp(), expected, rtol=1e-12, atol=0)


@every_net
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_samples_are_spins_with_their_log_prob(name, dtype):
    net = make(name).to(dtype)
    x, log_prob = net.sample(300, torch.Generator().manual_seed(1))
    assert x.shape == (300, N)
    assert log_prob.shape == (300,)
    assert x.dtype == log_prob.dtype == net.dtype == dtype
    assert x.device == log_prob.device == net.device == torch.device("cpu")
    assert set(x.unique().tolist()) == {-1, 1}
    assert not x.requires_grad
    assert not log_prob.requires_grad
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(log_prob, net.log_prob(x).detach(), rtol=0, atol=tolerance)


@every_net
def test_samples_follow_the_law(name):
    net, samples = make(name), 40_000
    x, _ = net.sample(samples, torch.Generator().manual_seed(2))
    place = (2 ** torch.arange(N - 1, -1, -1)).to(x.dtype)
    codes = ((x + 1) / 2 @ place).long()
    found = torch.bincount(codes, minlength=2**N).double()
    expected = samples * net.log_prob(exact.configurations(N)).detach().exp()
    rare = expected < 5  # pooled into one class
    found = torch.cat([found[~rare], found[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    statistic = float(((found - expected) ** 2 / expected.clamp(min=1e-300)).sum())
    # As probable as a deviation of four standard deviations.
    assert chi2.sf(statistic, len(found) - 1) > 6e-5


@every_net
def test_samples_of_one_batch_are_independent(name):
    net = make(name)
    x, _ = net.sample(20_000, torch.Generator().manual_seed(3))
    configurations = exact.configurations(N)
    means = net.log_prob(configurations).detach().exp() @ configurations
    overlaps = (x[:-1:2] * x[1::2]).sum(1)
    error = float(overlaps.std()) / math.sqrt(len(overlaps))
    assert abs(float(overlaps.mean() - means @ means)) < 4 * error


@every_net
def test_the_same_generator_gives_the_same_samples(name):
    net = make(name)

    def draw(seed):
        return net.sample(50, torch.Generator().manual_seed(seed))

    first, again, other = draw(5), draw(5), draw(6)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@every_net
def test_a_generator_of_ones_own_leaves_the_global_one_alone(name):
    net = make(name)
    before = torch.get_rng_state()
    net.sample(5, torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first, _ = net.sample(50)
        torch.manual_seed(7)
        again, _ = net.sample(50)
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_gradient_of_log_prob_is_its_slope(name):
    net, x = make(name), exact.configurations(N)
    coefficients = torch.linspace(-1, 2, len(x), dtype=x.dtype)
    trainable = [p for p in net.parameters() if p.requires_grad]
    assert trainable
    gradients = torch.autograd.grad(net.log_prob(x) @ coefficients, trainable)
    generator, step = torch.Generator().manual_seed(1), 1e-6
    for p, gradient in zip(trainable, gradients, strict=True):
        direction = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        values = []
        with torch.no_grad():
            for signed in (step, -step):
                p += signed * direction
                values.append(float(net.log_prob(x) @ coefficients))
                p -= signed * direction
        slope = (values[0] - values[1]) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-6)
        assert slope != 0


@every_net
def test_a_state_dict_carries_the_whole_net(name):
    net, x = make(name), exact.configurations(N)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = make(name, beta=1.4, seed=1)
    assert not torch.equal(other.log_prob(x), net.log_prob(x))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.log_prob(x), net.log_prob(x))


@every_net
def test_a_net_in_float32_is_nearly_the_same_net(name):
    net, x = make(name), exact.configurations(N)
    expected = net.logits(x).detach()
    single = net.to(torch.float32)
    assert single.dtype == torch.float32
    for tensor in single.state_dict().values():
        assert tensor.dtype == torch.float32
    logits = single.logits(x.float())
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.double(), expected, rtol=0, atol=1e-4)
    one_by_one = AutoregressiveNet.logits(single, x.float())
    assert one_by_one.dtype == torch.float32


@every_net
def test_train_and_eval_change_nothing(name):
    net, x = make(name), exact.configurations(N)
    logits = net.logits(x)
    assert net.eval() is net
    assert torch.equal(net.logits(x), logits)
    assert net.train() is net
    assert torch.equal(net.logits(x), logits)


@every_net
@pytest.mark.parametrize("batch", [0, -1, 2.0, "10", None])
def test_a_wrong_batch_is_refused(name, batch):
    with pytest.raises(ValueError, match="batch must be an integer of at least 1, not "):
        make(name).sample(batch)


@every_net
@pytest.mark.parametrize("shape", [(N,), (3, N - 1), (3, N + 1), (1, 3, N)])
def test_spins_of_a_wrong_shape_are_refused(name, shape):
    with pytest.raises(ValueError, match=rf"spins must have shape \(batch, {N}\), not"):
        make(name).log_prob(torch.ones(shape, dtype=torch.float64))


@every_net
@pytest.mark.parametrize("n", [0, -2, 3.0, "6", True])
def test_a_wrong_size_is_refused(name, n):
    # The size of H2 and of SK is that of their Hamiltonian, which refuses as the others do.
    made_of_h = {
        key: lambda n, beta: arnn.curie_weiss(n) for key in MAKERS if key.startswith(HAMILTON)
    }
    makers = MAKERS | made_of_h
    with pytest.raises(ValueError, match="n must be an integer of at least 1, not "):
        makers[name](n, 1.0)


@pytest.mark.parametrize("beta", [0, -1, math.nan, math.inf, "1", None])
@pytest.mark.parametrize("name", ["H2", "Transfer matrix", "CW_N", "CW_inf", "SK_RS", "Cavity"])
def test_a_wrong_beta_is_refused(name, beta):
    with pytest.raises(ValueError, match="beta must be a positive finite number, not "):
        MAKERS[name](N, beta)
    with pytest.raises(ValueError, match="beta must be a positive finite number, not "):
        make(name).set_beta(beta)


# ---- H2: the Boltzmann distribution itself -----------------------------------------------------


@few
@given(n=st.integers(1, 9), seed=st.integers(0, 2**32 - 1), beta=st.floats(0.05, 2))
def test_h2_is_the_boltzmann_distribution(n, seed, beta):
    H, x = random_hamiltonian(n, seed), exact.configurations(n)
    net = H2ARNN(H, beta)
    boltzmann = -beta * H.energy(x) - exact.log_partition(H, beta)
    torch.testing.assert_close(net.log_prob(x), boltzmann, rtol=0, atol=1e-12)
    logits = exact.conditional_logits(H, beta, x)
    torch.testing.assert_close(net.logits(x), logits, rtol=0, atol=1e-10)


def test_h2_is_exact_for_strong_couplings():
    H, x = random_hamiltonian(8, 0, scale=20), exact.configurations(8)
    net = H2ARNN(H, 3.0)
    boltzmann = -3 * H.energy(x) - exact.log_partition(H, 3.0)
    assert boltzmann.min() < -1000
    torch.testing.assert_close(net.log_prob(x), boltzmann, rtol=1e-12, atol=1e-10)


def test_the_state_of_h2_is_the_fields_of_the_past():
    H, x = random_hamiltonian(N, 3), exact.configurations(N)
    net = H2ARNN(H, 0.5)
    state = net.start(len(x))
    for i in range(N):
        expected = x[:, :i] @ H.couplings[:i]
        torch.testing.assert_close(state[:, i:], expected[:, i:], rtol=0, atol=1e-13)
        state = net.observe(i, x[:, i], state)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 10])
def test_the_numbers_of_h2_counted_one_by_one(n):
    net = H2ARNN(random_hamiltonian(n, 0), 1.0)
    first = len(torch.triu_indices(n, n, 1).T) + len(net.fields)
    hidden = sum(sum(t.numel() for t in net.second_layer(i)) for i in range(n - 1))
    assert net.num_parameters() == first + hidden
    assert net.num_parameters() == n * (n + 1) // 2 + n * 2**n - 2


def test_h2_moves_with_the_temperature():
    H, x = random_hamiltonian(N, 3), exact.configurations(N)
    net = H2ARNN(H, 0.5)
    net.set_beta(1.7)
    assert torch.equal(net.log_prob(x), H2ARNN(H, 1.7).log_prob(x))


def test_slices_of_the_hidden_layer_change_nothing(monkeypatch):
    H, x = random_hamiltonian(N, 3), exact.configurations(N)
    whole = H2ARNN(H, 0.5).logits(x)
    monkeypatch.setattr("arnn.nets.h2.MAX_ACTIVATIONS", 40)
    torch.testing.assert_close(H2ARNN(H, 0.5).logits(x), whole, rtol=0, atol=1e-13)


def test_an_h2_that_would_not_fit_is_refused():
    with pytest.raises(ValueError, match="it is limited to 20 spins"):
        H2ARNN(arnn.curie_weiss(21), 1.0)


# ---- CW_N --------------------------------------------------------------------------------------


@few
@given(
    n=st.integers(1, 9),
    beta=st.floats(0.05, 2.5),
    coupling=st.floats(-2, 2),
    field=st.floats(-1, 1),
)
def test_cw_n_has_the_exact_conditionals(n, beta, coupling, field):
    H, x = arnn.curie_weiss(n, coupling, field), exact.configurations(n)
    logits = CurieWeissN(n, beta, coupling, field).logits(x)
    expected = exact.conditional_logits(H, beta, x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(logits, H2ARNN(H, beta).logits(x), rtol=0, atol=1e-10)


def test_cw_n_moves_with_the_temperature():
    net, x = CurieWeissN(N, 0.5, 1.0, 0.1), exact.configurations(N)
    net.set_beta(1.7)
    assert torch.equal(net.log_prob(x), CurieWeissN(N, 1.7, 1.0, 0.1).log_prob(x))


@pytest.mark.parametrize("i", [0, 7, 20_000, 99_990, 99_999])
def test_cw_n_is_stable_and_odd_at_a_hundred_thousand_spins(i):
    n, beta = 10**5, 1.3
    net = CurieWeissN(n, beta)
    m = exact.curie_weiss_magnetisation(beta)
    sums = torch.tensor([-round(i * m), -(i % 2), i % 2, round(i * m)], dtype=torch.float64)
    logits = net.logit_of_sum(i, sums)
    assert torch.isfinite(logits).all()
    assert (logits + logits.flip(0)).abs().max() < 1e-9
    if i >= 20_000:  # on the typical sample the field on each spin is J m
        assert float(logits[-1]) == pytest.approx(2 * beta * m, abs=1e-4)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cw_n_gives_the_free_energy_from_samples(dtype, beta):
    n = 100
    net, H = CurieWeissN(n, beta, dtype=dtype), arnn.curie_weiss(n, dtype=dtype)
    true = exact.curie_weiss_free_energy(n, beta)
    generator = torch.Generator().manual_seed(0)
    estimate = estimators.free_energy(net, H, beta, 40_000, generator=generator)
    assert estimate.samples == 40_000
    assert abs(estimate.f - true) <= 1e-6 * abs(true)
    assert abs(estimate.f_importance - true) <= 1e-6 * abs(true)


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("n", [20, 100, 200])
def test_cw_n_gives_the_free_energy_by_the_exact_sum(n, beta):
    exactly = partial_sums.free_energy(CurieWeissN(n, beta), arnn.curie_weiss(n), beta)
    assert abs(float(exactly.kl / exactly.beta_free_energy)) <= 1e-12


@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_numbers_of_cw_n_counted_one_by_one(n):
    net = CurieWeissN(n, 1.0)
    shared = 2  # b0 and omega0
    weights_of_both_signs = 0
    for i in range(n):
        b_plus, b_minus, weights = net.hidden_layer(i)
        weights_of_both_signs += len(b_plus) + len(b_minus) + 2 * len(weights)
    assert net.num_parameters() == shared + weights_of_both_signs


# ---- CW_inf ------------------------------------------------------------------------------------


def test_the_logit_of_cw_inf_is_its_formula_and_the_sign_of_nothing_is_zero():
    net = CurieWeissInfinity(4, 1.5, 0.8, 0.25)
    m = exact.curie_weiss_magnetisation(1.5, 0.8, 0.25)
    for i in range(4):
        omega1 = 2 * 1.5 * 0.8 * (1 - (i + 1) / 4) * m
        for total in range(-i, i + 1, 2):
            sign = (total > 0) - (total < 0)
            expected = 2 * 1.5 * 0.25 + 2 * 1.5 * 0.8 / 4 * total + omega1 * sign
            found = net.logit_of_sum(i, torch.tensor(float(total), dtype=torch.float64))
            assert found.item() == pytest.approx(expected, abs=1e-14)


def test_the_analytic_weights_vanish_above_the_critical_temperature():
    assert not limit_weights(10, 0.9).any()
    below = limit_weights(10, 1.3)
    assert (below[:-1] > 0).all()
    assert below[-1] == 0


def test_the_shared_weight_follows_the_temperature_only_while_it_is_not_trained():
    fixed = CurieWeissInfinity(10, 0.5)
    trained = CurieWeissInfinity(10, 0.5, train_shared=True)
    for net in (fixed, trained):
        net.set_beta(2.0)
    assert fixed.omega0.item() == pytest.approx(0.4)
    assert trained.omega0.item() == pytest.approx(0.1)
    assert not fixed.omega0.requires_grad
    assert trained.omega0.requires_grad


def test_the_bias_of_cw_inf_follows_the_temperature():
    net = CurieWeissInfinity(10, 0.5, field=0.3)
    net.set_beta(2.0)
    assert float(net.bias) == pytest.approx(1.2)


def test_the_numbers_of_cw_inf():
    assert CurieWeissInfinity(10, 1.0).num_parameters() == 11
    assert CurieWeissInfinity(10, 1.0, field=0.1).num_parameters() == 12


def test_a_wrong_start_of_cw_inf_is_refused():
    with pytest.raises(ValueError, match='init must be "analytic" or "zero", not \'random\''):
        CurieWeissInfinity(4, 1.0, init="random")


@pytest.mark.parametrize("net", [CurieWeissN, CurieWeissInfinity])
def test_a_wrong_model_is_refused(net):
    with pytest.raises(ValueError, match="coupling must be a finite number, not nan"):
        net(4, 1.0, math.nan)
    with pytest.raises(ValueError, match="field must be a finite number, not inf"):
        net(4, 1.0, 1.0, math.inf)


# ---- The baselines -----------------------------------------------------------------------------


def test_1p_starts_as_free_spins_and_is_odd():
    net, x = OneParameter(N), exact.configurations(N)
    assert torch.equal(net.logits(x), torch.zeros_like(x))
    randomised(net)
    assert torch.equal(net.logits(-x), -net.logits(x))
    assert net.num_parameters() == N


def test_1l_is_one_masked_linear_layer():
    net, x = make("1L"), exact.configurations(N)
    weight, bias = net.weights[0].detach(), net.biases[0].detach()
    expected = torch.zeros_like(x)
    for i in range(N):
        expected[:, i] = bias[i] + sum(weight[i, s] * x[:, s] for s in range(i))
    torch.testing.assert_close(net.logits(x), expected, rtol=0, atol=1e-13)
    assert net.num_parameters() == N * (N - 1) // 2 + N
    assert isinstance(net, MADE)
    assert (net.depth, net.width) == (1, 1)


def test_made_is_its_layers_written_out():
    net, x, width = make("MADE_22"), exact.configurations(N), 2
    w0, w1 = (w.detach() for w in net.weights)
    b0, b1 = (b.detach() for b in net.biases)
    slope = net.slopes[0].detach()
    expected = torch.zeros_like(x)
    for i in range(N):
        expected[:, i] = b1[i]
        for unit in range((i + 1) * width):  # those of the sites up to i
            site = unit // width
            hidden = b0[unit] + sum(w0[unit, s] * x[:, s] for s in range(site))
            hidden = torch.where(hidden > 0, hidden, slope[unit] * hidden)
            expected[:, i] += w1[i, unit] * hidden
    torch.testing.assert_close(net.logits(x), expected, rtol=0, atol=1e-12)
    first = width * N * (N - 1) // 2 + 2 * width * N
    second = width * N * (N + 1) // 2 + N
    assert net.num_parameters() == first + second


def test_the_weights_of_made_start_within_their_bounds():
    net = MADE(40, 3, 2, generator=torch.Generator().manual_seed(0))
    for layer, inputs in enumerate((40, 80, 80)):
        weights = net.masked_weight(layer).detach()
        largest = float(weights.abs().max())
        assert 0.98 * inputs**-0.5 < largest <= inputs**-0.5
        assert abs(net.biases[layer].mean().item()) < 4 / math.sqrt(3 * inputs * 40)
    again = MADE(40, 3, 2, generator=torch.Generator().manual_seed(0))
    for p, q in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


def test_made_can_start_as_in_the_released_runs():
    plain, released = (
        MADE(40, 3, 2, generator=torch.Generator().manual_seed(0), init=init)
        for init in ("pytorch", "released")
    )
    for layer, (inputs, outputs) in enumerate(((1, 2), (2, 2), (2, 1))):
        # Of 40 x 40 blocks the strictly lower ones act in the first layer, then the diagonal too.
        fraction = (39 if layer == 0 else 41) / 80
        expected = plain.masked_weight(layer) / fraction**0.5
        assert expected.shape == (40 * outputs, 40 * inputs)
        torch.testing.assert_close(released.masked_weight(layer), expected, rtol=1e-7, atol=0)
        assert torch.equal(released.biases[layer], plain.biases[layer])
    for slopes, value in ((plain.slopes, 0.25), (released.slopes, 0.5)):
        assert len(slopes) == 2
        assert all((slope == value).all() for slope in slopes)
    with pytest.raises(ValueError, match='init must be "pytorch" or "released", not \'zero\''):
        MADE(4, init="zero")


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", None])
def test_a_wrong_depth_or_width_is_refused(value):
    with pytest.raises(ValueError, match="depth must be an integer of at least 1"):
        MADE(4, value, 2)
    with pytest.raises(ValueError, match="width must be an integer of at least 1"):
        MADE(4, 2, value)
