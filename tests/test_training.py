"""Training: an unbiased gradient, the known optima, and runs that go on as if never stopped."""

import math

import numpy as np
import pytest
import torch

import arnn
from arnn import exact, partial_sums, training
from arnn.checkpoints import unsealed
from arnn.nets import MADE, CurieWeissInfinity, CurieWeissN, OneParameter, SingleLayer, SumNet


def random_hamiltonian(n, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.5 * rng.normal(size=n))


def made(n, depth=2, width=2, seed=0, dtype=torch.float64):
    return MADE(n, depth, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradient_of(value, net):
    gradients = torch.autograd.grad(value, [p for p in net.parameters() if p.requires_grad])
    return torch.cat([g.flatten() for g in gradients])


def same_numbers(left, right):
    """Whether two lists of records hold the same bits."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert torch.equal(torch.as_tensor(a[name]), torch.as_tensor(b[name])), name
    return True


# ---- The gradient ------------------------------------------------------------------------------


def test_the_estimated_gradient_is_unbiased_even_for_two_samples():
    """The mean over all pairs of configurations, each with its probability, is exact."""
    H, net, beta = random_hamiltonian(3, 0), made(3, seed=1), 0.9
    expected = gradient_of(exact.variational_free_energy(net, H, beta).beta_free_energy, net)
    x = exact.configurations(3)
    q = net.log_prob(x).detach().exp()
    mean = torch.zeros_like(expected)
    for a in range(len(x)):
        for b in range(len(x)):
            loss, _ = training.score_function_loss(net, H, beta, x[[a, b]])
            mean += q[a] * q[b] * gradient_of(loss, net)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(mean, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", [2, 50])
def test_the_estimated_gradient_averages_to_the_enumerated_one(batch):
    H, net, beta = random_hamiltonian(5, 2), made(5, seed=3), 0.8
    expected = gradient_of(exact.variational_free_energy(net, H, beta).beta_free_energy, net)
    generator = torch.Generator().manual_seed(0)
    estimates = []
    for _ in range(400):
        x, _ = net.sample(batch, generator)
        loss, _ = training.score_function_loss(net, H, beta, x)
        estimates.append(gradient_of(loss, net))
    estimates = torch.stack(estimates)
    error = estimates.std(0) / math.sqrt(len(estimates))
    acting = error > 0  # masked weights have neither gradient nor noise
    assert not expected[~acting].any()
    pulls = (estimates.mean(0) - expected)[acting] / error[acting]
    assert pulls.abs().max() < 4
    # With the batch size in place of the batch size minus one this would have been seen.
    biased = (estimates.mean(0) * (batch - 1) / batch - expected)[acting] / error[acting]
    assert (biased.abs().max() > 4) == (batch == 2)


def test_the_costs_are_those_of_the_samples():
    H, net, x = random_hamiltonian(4, 0), made(4), exact.configurations(4)
    _, cost = training.score_function_loss(net, H, 0.7, x)
    expected = (net.log_prob(x) + 0.7 * H.energy(x)).detach()
    assert torch.equal(cost, expected)
    assert not cost.requires_grad


def test_an_exact_net_has_a_gradient_without_noise():
    # ln Q + beta H is then the same for every sample, and the baseline removes it.
    H = arnn.curie_weiss(6)
    net = CurieWeissInfinity(6, 1.0, train_shared=True)
    with torch.no_grad():
        net.omega0.zero_()
        net.omega1.zero_()
    free = arnn.curie_weiss(6, coupling=0.0)
    x, _ = net.sample(30, torch.Generator().manual_seed(0))
    assert gradient_of(training.score_function_loss(net, free, 1.0, x)[0], net).abs().max() < 1e-14
    assert gradient_of(training.score_function_loss(net, H, 1.0, x)[0], net).abs().max() > 1e-3


# ---- What training reaches ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_single_layer_learns_a_small_spin_glass(seed):
    H = arnn.sherrington_kirkpatrick(8, seed)
    net = SingleLayer(8, generator=torch.Generator().manual_seed(0))
    before = exact.variational_free_energy(net, H, 1.0).kl.item()
    options = {"steps": 200, "batch": 200, "lr": 2e-2, "final_lr": 1e-3}
    records = training.minimise_free_energy(net, H, [0.5, 1.0], **options)
    after = exact.variational_free_energy(net, H, 1.0)
    assert before > 1
    assert 0 < after.kl.item() < 0.005
    estimate = records[-1]["curve"][-50:].mean().item()
    assert estimate == pytest.approx(after.beta_free_energy.item() / 8, abs=5e-3)


@pytest.mark.parametrize(
    ("n", "one_parameter", "limit"), [(100, 3.50e-3, 5.05e-4), (200, 4.21e-3, 1.61e-4)]
)
def test_the_optima_of_1p_and_cw_inf_at_beta_1_3(n, one_parameter, limit):
    beta, H = 1.3, arnn.curie_weiss(n)
    f = exact.curie_weiss_free_energy(n, beta)
    start = OneParameter(n)
    with torch.no_grad():
        start.omega.copy_(2 * beta / torch.arange(n).clamp(min=2))
    nets = {
        one_parameter: start,
        limit: CurieWeissInfinity(n, beta, train_shared=True, init="zero"),
    }
    for expected, net in nets.items():
        record = training.minimise_exact_free_energy(net, H, [beta])[-1]
        assert (record["f"] - f) / abs(f) == pytest.approx(expected, rel=0.03)
        assert record["kl"] == pytest.approx((record["f"] - f) * beta * n, rel=1e-9)
        assert record["gradient"] < 1e-3


def test_the_exact_optimum_is_one_for_enumeration_too():
    H = arnn.curie_weiss(7, 1.0, 0.1)
    net = CurieWeissInfinity(7, 0.5, 1.0, 0.1, train_shared=True, init="zero")
    record = training.minimise_exact_free_energy(net, H, [0.5, 1.2])[-1]
    result = exact.variational_free_energy(net, H, 1.2)
    assert gradient_of(result.kl, net).abs().max() < 1e-6
    assert record["kl"] == pytest.approx(result.kl.item(), abs=1e-12)
    for p in net.parameters():
        for place in np.ndindex(p.shape):
            for step in (-0.05, 0.05):
                with torch.no_grad():
                    p[place] += step
                    worse = exact.variational_free_energy(net, H, 1.2).kl
                    p[place] -= step
                assert worse >= result.kl - 1e-12


def test_exact_training_ends_in_the_same_minimum_from_every_start():
    """The shared weight bends F a million times more than the others, and must not stop them."""
    n, beta = 200, 2.0
    H, found = arnn.curie_weiss(n), []
    noise = torch.randn(n, generator=torch.Generator().manual_seed(1))
    for init, shift in (("analytic", 0), ("zero", 0), ("analytic", noise)):
        net = CurieWeissInfinity(n, beta, train_shared=True, init=init)
        with torch.no_grad():
            net.omega1.add_(shift)
        found.append(training.minimise_exact_free_energy(net, H, [1.2, beta])[-1]["kl"])
    assert found == pytest.approx([4.5925e-4] * 3, rel=1e-4)


def test_exact_training_takes_parameters_of_any_shape():
    """1P with its weights in a column, which has no units, ends in the same minimum."""

    class Column(SumNet):
        def __init__(self, n):
            super().__init__(n)
            self.omega = torch.nn.Parameter(torch.zeros(n, 1, dtype=self.dtype))

        def logit_of_sum(self, i, total):
            return self.omega[i, 0] * total

    H, kl = arnn.curie_weiss(8), []
    for net in (OneParameter(8), Column(8)):
        kl.append(training.minimise_exact_free_energy(net, H, [0.5, 1.2])[-1]["kl"])
    assert kl[0] == pytest.approx(kl[1], rel=1e-6)


def test_1p_has_more_than_one_minimum():
    """With a large fourth weight the first three spins decide; annealing ends higher (Fig. 4)."""
    n, beta = 400, 1.5
    kl = []
    for fourth in (None, 8.0):
        net = OneParameter(n)
        with torch.no_grad():
            net.omega.copy_(2 * beta * (n - 1) / n / torch.arange(n).clamp(min=1))
            if fourth:
                net.omega[3] = fourth
        record = training.minimise_exact_free_energy(net, arnn.curie_weiss(n), [beta])[-1]
        assert record["gradient"] < 1e-5  # a minimum, not a training that was stopped
        kl.append(record["kl"])
    assert kl == pytest.approx([0.64267, 0.61912], rel=1e-4)


def test_training_by_samples_approaches_the_exact_optimum():
    H, beta = arnn.curie_weiss(10), 1.2
    best, net = OneParameter(10), OneParameter(10)
    optimum = training.minimise_exact_free_energy(best, H, [beta])[-1]["kl"]
    options = {"steps": 250, "batch": 300, "lr": 3e-2, "final_lr": 1e-3}
    training.minimise_free_energy(net, H, [0.6, beta], **options)
    reached = partial_sums.free_energy(net, H, beta).kl.item()
    assert optimum <= reached < optimum + 2e-3


# ---- The schedule ------------------------------------------------------------------------------


@pytest.fixture
def step_sizes(monkeypatch):
    """The step size of every Adam step made in the test."""
    seen = []

    class Recording(training.Adam):
        def step(self, *args, **kwargs):
            seen.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(training, "Adam", Recording)
    return seen


def test_the_step_size_decays_geometrically_at_each_temperature(step_sizes):
    options = {"steps": 5, "batch": 10, "lr": 1e-2, "final_lr": 1e-4}
    training.minimise_free_energy(made(4), arnn.curie_weiss(4), [0.5, 1.0], **options)
    once = [1e-2 * 10 ** (-k / 2) for k in range(5)]
    assert step_sizes == pytest.approx(once + once, rel=1e-12)


def test_the_step_size_is_constant_by_default(step_sizes):
    H = arnn.curie_weiss(4)
    records = training.minimise_free_energy(
        made(4), H, [0.5, 1.0, 1.5], steps=3, first_steps=7, batch=10, lr=1e-2
    )
    assert step_sizes == [1e-2] * 13
    assert [len(record["curve"]) for record in records] == [7, 3, 3]
    assert [record["beta"] for record in records] == [0.5, 1.0, 1.5]


def test_a_temperature_ends_once_the_free_energy_hardly_varies():
    H, net = arnn.curie_weiss(6, coupling=0.0), OneParameter(6)
    options = {"steps": 9, "batch": 20}
    early = training.minimise_free_energy(net, H, [0.5, 1.0], tolerance=1e-6, **options)
    assert [len(record["curve"]) for record in early] == [1, 1]
    assert early[1]["curve"].item() == pytest.approx(-math.log(2), abs=1e-12)
    late = training.minimise_free_energy(net, H, [0.5, 1.0], **options)
    assert [len(record["curve"]) for record in late] == [9, 9]
    never = training.minimise_free_energy(
        made(6), arnn.curie_weiss(6), [1.0], tolerance=1e-6, **options
    )
    assert len(never[0]["curve"]) == 9


def test_the_curves_are_mean_and_deviation_of_the_cost_per_spin():
    H, beta, net = arnn.curie_weiss(5), 0.7, made(5)
    generator = torch.Generator().manual_seed(4)
    x, log_prob = net.sample(30, generator)
    cost = (log_prob + beta * H.energy(x)) / (beta * 5)
    record = training.minimise_free_energy(net, H, [beta], steps=1, batch=30, seed=4)[0]
    assert record["curve"].item() == pytest.approx(cost.mean().item(), abs=1e-13)
    assert record["curve_std"].item() == pytest.approx(cost.std().item(), abs=1e-13)


def test_the_seed_decides_the_samples():
    def train(seed):
        net = made(5)
        training.minimise_free_energy(net, arnn.curie_weiss(5), [1.0], steps=3, batch=9, seed=seed)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(train(1), train(1))
    assert not torch.equal(train(1), train(2))


def test_a_net_without_weights_only_follows_the_temperature():
    net, H = CurieWeissN(6, 0.1), arnn.curie_weiss(6)
    seen = []

    def look(net, beta, index):
        kl = exact.variational_free_energy(net, H, beta).kl
        seen.append((beta, index, abs(kl.item()) < 1e-12))
        return {"looked": index}

    records = training.minimise_free_energy(net, H, [0.5, 1.5], after_temperature=look)
    assert seen == [(0.5, 0, True), (1.5, 1, True)]
    assert [(record["looked"], len(record["curve"])) for record in records] == [(0, 0), (1, 0)]


# ---- Checkpoints -------------------------------------------------------------------------------

BETAS = [0.4, 0.8, 1.2, 1.6]


class Stop(Exception):
    pass


def anneal(net, checkpoint, stop_at=None, **changes):
    def after_temperature(net, beta, index):
        if index == stop_at:
            raise Stop
        return {"log_prob": net.log_prob(torch.ones(1, 8, dtype=net.dtype)).detach()}

    H = changes.pop("H", arnn.curie_weiss(8, dtype=torch.float32))
    options = {"betas": BETAS, "steps": 6, "batch": 40, "seed": 5, "lr": 1e-2, "final_lr": 1e-3}
    return training.minimise_free_energy(
        net, H, checkpoint=checkpoint, after_temperature=after_temperature, **(options | changes)
    )


@pytest.mark.parametrize("stops", [[0], [1], [3], [1, 1, 2, 3]])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, stops):
    whole = made(8, dtype=torch.float32)
    expected = anneal(whole, None)
    path = tmp_path / "checkpoint"
    for stop in stops:
        with pytest.raises(Stop):
            anneal(made(8, dtype=torch.float32), path, stop_at=stop)
    net = made(8, dtype=torch.float32)
    assert same_numbers(anneal(net, path), expected)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
    # A finished run is not repeated: this net takes its weights from the file.
    other = made(8, seed=9, dtype=torch.float32)
    assert same_numbers(anneal(other, path), expected)
    assert torch.equal(other.weights[0], whole.weights[0])


def test_an_exact_minimisation_that_was_stopped_ends_with_the_same_bits(tmp_path):
    def stop_at_the_last(net, beta, index):
        if index == 2:
            raise Stop
        return {}

    H, betas, path = arnn.curie_weiss(12), [0.5, 1.0, 1.5], tmp_path / "checkpoint"
    whole, stopped, resumed = (OneParameter(12) for _ in range(3))
    expected = training.minimise_exact_free_energy(whole, H, betas)
    options = {"checkpoint": path, "after_temperature": stop_at_the_last}
    with pytest.raises(Stop):
        training.minimise_exact_free_energy(stopped, H, betas, **options)
    found = training.minimise_exact_free_energy(resumed, H, betas, checkpoint=path)
    assert same_numbers(found, expected)
    assert torch.equal(resumed.omega, whole.omega)


def other_hamiltonian():
    return arnn.curie_weiss(8, 1.01, dtype=torch.float32)


@pytest.mark.parametrize(
    ("net", "changes", "message"),
    [
        (made(8, 2, 3, dtype=torch.float32), {}, r"its net is MADE\(n=8, depth=2, width=2\).*not"),
        (made(8), {}, "its net is .* in torch.float32, not .* in torch.float64"),
        (OneParameter(8, dtype=torch.float32), {}, "its net is MADE.*, not OneParameter"),
        (None, {"H": other_hamiltonian()}, "its hamiltonian is CurieWeiss.*coupling=1,"),
        (None, {"steps": 7}, "its steps is 6, not 7"),
        (None, {"batch": 41}, "its batch is 40, not 41"),
        (None, {"lr": 2e-2}, "its lr is 0.01, not 0.02"),
        (None, {"seed": 6}, "its seed is 5, not 6"),
        (None, {"betas": BETAS[:3]}, r"its betas is \[0.4, 0.8, 1.2, 1.6\], not"),
        (None, {"tolerance": 0.1}, "its tolerance is None, not 0.1"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, net, changes, message):
    path = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        anneal(made(8, dtype=torch.float32), path, stop_at=2)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint .* is of another run: {message}"):
        anneal(net or made(8, dtype=torch.float32), path, **changes)
    assert path.read_bytes() == before


def test_a_checkpoint_knows_what_else_it_was_told(tmp_path):
    path, net = tmp_path / "checkpoint", OneParameter(8, dtype=torch.float32)
    anneal(net, path, identity={"samples": 80, "betas": "not those of the schedule"})
    with pytest.raises(ValueError, match="is of another run: its samples is 80, not 90"):
        anneal(net, path, identity={"samples": 90})
    H, path = arnn.curie_weiss(4), tmp_path / "exact"
    options = {"checkpoint": path, "identity": {"samples": 80}}
    training.minimise_exact_free_energy(OneParameter(4), H, [1.0], **options)
    options["identity"] = {"samples": None}
    with pytest.raises(ValueError, match="is of another run: its samples is 80, not None"):
        training.minimise_exact_free_energy(OneParameter(4), H, [1.0], **options)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"no")
    with pytest.raises(
        ValueError, match=r"checkpoint .* is damaged or no checkpoint; remove it to start anew$"
    ):
        anneal(made(8, dtype=torch.float32), path)


def test_a_checkpoint_without_a_folder_is_refused_before_training(tmp_path):
    net = made(8, dtype=torch.float32)
    weights = net.weights[0].detach().clone()
    with pytest.raises(ValueError, match="cannot be written: its folder does not exist"):
        anneal(net, tmp_path / "missing" / "checkpoint")
    assert torch.equal(net.weights[0], weights)


def test_diverging_training_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    # One step at the first temperature: its free energy is finite, its weights then are huge.
    options = {"lr": 1e30, "final_lr": 1e30, "first_steps": 1}
    message = "free energy became nan at beta = 0.8, step 0; try a smaller lr"
    with pytest.raises(FloatingPointError, match=message):
        anneal(made(8, dtype=torch.float32), path, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
    state = unsealed(path.read_bytes())
    assert [record["beta"] for record in state["records"]] == [0.4]
    assert torch.isfinite(state["records"][0]["curve"]).all()


# ---- Wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": []}, "betas must hold at least one inverse temperature"),
        ({"betas": [0.5, 0]}, "every beta must be a positive finite number, not 0"),
        ({"betas": [math.nan]}, "every beta must be a positive finite number, not nan"),
        ({"steps": 0}, "steps must be an integer of at least 1, not 0"),
        ({"steps": 1.5}, "steps must be an integer of at least 1, not 1.5"),
        ({"first_steps": 0}, "first_steps must be an integer of at least 1, not 0"),
        ({"batch": 1}, "batch must be an integer of at least 2, not 1"),
        ({"lr": 0}, "lr must be a positive finite number, not 0"),
        ({"lr": "0.1"}, "lr must be a positive finite number, not '0.1'"),
        ({"final_lr": -1}, "final_lr must be a positive finite number, not -1"),
        ({"tolerance": 0}, "tolerance must be a positive finite number, not 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_a_wrong_schedule_is_refused_before_training(tmp_path, options, message):
    path = tmp_path / "checkpoint"
    with pytest.raises(ValueError, match=message):
        anneal(made(8, dtype=torch.float32), path, **options)
    assert not list(tmp_path.iterdir())


def test_a_net_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the net has 4 spins and the Hamiltonian 5"):
        training.minimise_free_energy(made(4), arnn.curie_weiss(5), [1.0], steps=1)
    with pytest.raises(ValueError, match="the net has 4 spins and the Hamiltonian 5"):
        training.minimise_exact_free_energy(OneParameter(4), arnn.curie_weiss(5), [1.0])


def test_exact_minimisation_refuses_what_it_cannot_do():
    H = arnn.curie_weiss(4)
    with pytest.raises(TypeError, match="must see only the sum of the past, and SingleLayer"):
        training.minimise_exact_free_energy(SingleLayer(4), H, [1.0])
    with pytest.raises(ValueError, match=r"the net has nothing to train: CurieWeissN\(n=4"):
        training.minimise_exact_free_energy(CurieWeissN(4, 1.0), H, [1.0])
    with pytest.raises(ValueError, match="iterations must be an integer of at least 1, not 0"):
        training.minimise_exact_free_energy(OneParameter(4), H, [1.0], iterations=0)
