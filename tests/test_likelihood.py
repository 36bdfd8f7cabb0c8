"""Maximum likelihood: the entropy of the data is reached, and runs go on as if never stopped."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import arnn
from arnn import exact, likelihood, training
from arnn.checkpoints import unsealed
from arnn.nets import MADE, AutoregressiveNet, CurieWeissN


class Table(AutoregressiveNet):
    """Every distribution of n spins: one free logit for each prefix."""

    def __init__(self, n):
        super().__init__(n)
        self.table = nn.Parameter(torch.zeros(n, 2**n, dtype=torch.float64))

    def start(self, batch):
        return torch.zeros(batch, dtype=torch.long)

    def conditional(self, i, state):
        return self.table[i, state]

    def observe(self, i, x_i, state):
        return 2 * state + (x_i > 0)


def made(n, seed=0, width=2, dtype=torch.float64):
    return MADE(n, 2, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def boltzmann_samples(n, count, *, beta=1.0, instance=1, seed=0):
    """Independent samples of an SK model by enumeration."""
    p = exact.probabilities(arnn.sherrington_kirkpatrick(n, instance), beta).numpy()
    drawn = np.random.default_rng(seed).choice(len(p), size=count, p=p)
    return exact.configurations(n)[drawn]


def same_numbers(left, right):
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


# ---- What is learned ---------------------------------------------------------------------------


def test_a_net_that_can_do_everything_reaches_the_frequencies():
    x = boltzmann_samples(4, 400, beta=0.5)
    _, counts = torch.unique(x, dim=0, return_counts=True)
    frequency = counts.double() / counts.sum()
    entropy = -float((frequency * frequency.log()).sum())
    net = Table(4)
    record = training.maximise_likelihood(net, x, steps=1500, batch=400, lr=0.1, final_lr=0.01)
    assert record["curve"][0].item() == pytest.approx(4 * math.log(2), abs=1e-12)
    assert (record["curve"] >= entropy - 1e-12).all()
    assert record["train"][-1].item() == pytest.approx(entropy, abs=1e-5)
    learned = net.log_prob(torch.unique(x, dim=0)).exp()
    torch.testing.assert_close(learned.detach(), frequency, rtol=0, atol=2e-3)


def test_the_held_out_loss_is_entropy_plus_divergence():
    n, beta, H = 6, 1.0, arnn.sherrington_kirkpatrick(6, 3)
    x = boltzmann_samples(n, 20_000, instance=3)
    net = made(n, width=4)
    options = {"steps": 600, "batch": 200, "lr": 2e-2, "final_lr": 1e-3, "held_out": x[15_000:]}
    record = training.maximise_likelihood(net, x[:15_000], **options)
    p, log_q = exact.probabilities(H, beta), net.log_prob(exact.configurations(n)).detach()
    entropy = exact.thermodynamics(H, beta).entropy
    divergence = float(p @ (p.log() - log_q))
    assert 0 < divergence < 5e-3
    best = int(torch.argmin(record["held_out"]))
    pull = record["held_out"][best] - (entropy + divergence)
    assert abs(pull) < 4 * record["held_out_error"][best]
    # The error is that of a mean of 5000 independent values.
    spread = math.sqrt(float(p @ log_q**2) - float(p @ log_q) ** 2)
    assert record["held_out_error"][best].item() == pytest.approx(spread / 5000**0.5, rel=0.05)


def test_a_step_follows_the_gradient_of_the_mean_over_its_samples():
    x, net = boltzmann_samples(3, 40), made(3, seed=1)
    configurations, counts = torch.unique(x, dim=0, return_counts=True)
    loss = -(counts.double() / counts.sum() * net.log_prob(configurations)).sum()
    gradient = torch.autograd.grad(loss, list(net.parameters()))
    before = [p.detach().clone() for p in net.parameters()]
    record = training.maximise_likelihood(net, x, steps=1, batch=40, lr=1e-3)
    assert record["curve"].item() == pytest.approx(loss.item(), abs=1e-12)
    moved = 0
    for p, old, g in zip(net.parameters(), before, gradient, strict=True):
        # The first step of Adam has the size lr in each component, against the gradient.
        clear = g.abs() > 1e-5
        torch.testing.assert_close(
            (p - old)[clear].detach(), -1e-3 * g.sign()[clear], rtol=1e-2, atol=0
        )
        moved += int(clear.sum())
    assert moved > 20


def test_early_stopping_keeps_the_best_weights():
    x, other = boltzmann_samples(8, 60), boltzmann_samples(8, 300, seed=1)
    options = {"steps": 400, "batch": 30, "lr": 3e-2, "held_out": other, "evaluate_every": 10}
    best, last = made(8, width=4), made(8, width=4)
    record = training.maximise_likelihood(best, x, **options)
    final = training.maximise_likelihood(last, x, keep="last", **options)
    losses = record["held_out"]
    assert losses[-1] > losses.min() + 0.5, "this training was meant to overfit"
    assert record["train"][-1] < record["train"][0]
    assert record["kept_step"] == record["step"][losses.argmin()] < 400 == final["kept_step"]
    assert torch.equal(final["held_out"], losses)
    for net, expected in ((best, losses.min()), (last, losses[-1])):
        assert -net.log_prob(other).mean().item() == pytest.approx(expected.item(), abs=1e-12)


def test_the_evaluations_are_of_as_many_training_samples_as_are_held_out():
    x, net = boltzmann_samples(4, 50), made(4)
    record = training.maximise_likelihood(net, x, steps=5, batch=7, held_out=x[:11])
    assert record["step"].tolist() == [1, 2, 3, 4, 5]
    assert torch.equal(record["train"], record["held_out"])
    alone = training.maximise_likelihood(made(4), x, steps=5, batch=7, evaluate_every=4)
    assert alone["step"].tolist() == [4, 5]
    assert "held_out" not in alone
    net = made(4)
    training.maximise_likelihood(net, x, steps=5, batch=7)
    assert alone["train"][-1].item() == pytest.approx(-net.log_prob(x).mean().item(), abs=1e-12)


def test_what_is_watched_joins_the_record():
    def watch(net, step):
        return {"twice": 2 * step, "first": net.logits(torch.ones(1, 4).double())[0, 0].item()}

    x = boltzmann_samples(4, 30)
    options = {"steps": 6, "batch": 10, "evaluate_every": 2, "watch": watch}
    record = training.maximise_likelihood(made(4), x, **options)
    assert record["twice"].tolist() == [4, 8, 12]
    assert len(set(record["first"].tolist())) == 3


# ---- The order of the samples ------------------------------------------------------------------


def test_every_epoch_takes_each_sample_once_in_an_order_of_its_own():
    schedule = {"batch": 5, "seed": 3}
    epochs = [
        torch.cat([likelihood._minibatch(step, 20, schedule) for step in range(4 * e, 4 * e + 4)])
        for e in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(20))
    assert not torch.equal(epochs[0], epochs[1])
    left_over = [len(likelihood._minibatch(step, 23, schedule)) for step in range(9)]
    assert left_over == [5] * 9


def test_the_seed_decides_the_order():
    def train(seed):
        options = {"steps": 8, "batch": 10, "seed": seed}
        return training.maximise_likelihood(made(5), boltzmann_samples(5, 40), **options)

    assert same_numbers(train(1), train(1))
    assert not same_numbers(train(1), train(2))


def test_the_step_size_decays_geometrically(monkeypatch):
    seen = []

    class Recording(likelihood.Adam):
        def step(self, *args, **kwargs):
            seen.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(likelihood, "Adam", Recording)
    x = boltzmann_samples(4, 20)
    training.maximise_likelihood(made(4), x, steps=5, batch=5, lr=1e-2, final_lr=1e-4)
    assert seen == pytest.approx([1e-2 * 10 ** (-k / 2) for k in range(5)], rel=1e-12)
    seen.clear()
    training.maximise_likelihood(made(4), x, steps=3, batch=5, lr=1e-2)
    assert seen == [1e-2] * 3


# ---- Checkpoints -------------------------------------------------------------------------------


class Stop(Exception):
    pass


def learn(net, checkpoint, stop_at=None, **changes):
    def watch(net, step):
        if step == stop_at:
            raise Stop
        return {"bias": float(net.biases[1][0])}

    options = {
        "samples": boltzmann_samples(6, 90),
        "held_out": boltzmann_samples(6, 200, seed=1),
        "steps": 22,
        "batch": 20,
        "lr": 3e-2,
        "final_lr": 1e-3,
        "evaluate_every": 5,
    } | changes
    return training.maximise_likelihood(net, watch=watch, checkpoint=checkpoint, **options)


@pytest.mark.parametrize("stops", [[5], [10], [22], [10, 10, 15]])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, stops, keep):
    whole, path = made(6, dtype=torch.float32), tmp_path / "checkpoint"
    expected = learn(whole, None, keep=keep)
    assert expected["step"].tolist() == [5, 10, 15, 20, 22]
    for stop in stops:
        with pytest.raises(Stop):
            learn(made(6, dtype=torch.float32), path, stop_at=stop, keep=keep)
    net = made(6, dtype=torch.float32)
    assert same_numbers(learn(net, path, keep=keep), expected)
    # A finished run is not repeated: this net takes its weights from the file.
    other = made(6, seed=9, dtype=torch.float32)
    assert same_numbers(learn(other, path, keep=keep), expected)
    for found in (net, other):
        for name, tensor in whole.state_dict().items():
            assert torch.equal(found.state_dict()[name], tensor)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 23}, "its steps is 22, not 23"),
        ({"batch": 21}, "its batch is 20, not 21"),
        ({"lr": 1e-2}, "its lr is 0.03, not 0.01"),
        ({"seed": 1}, "its seed is 0, not 1"),
        ({"evaluate_every": 6}, "its evaluate_every is 5, not 6"),
        ({"identity": {"beta": 2.0}}, "its beta is None, not 2.0"),
        ({"samples": boltzmann_samples(6, 90, seed=7)}, "its samples is "),
        ({"held_out": None}, "its samples is "),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, changes, message):
    path = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        learn(made(6), path, stop_at=15)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint .* is of another run: {message}"):
        learn(made(6), path, **changes)
    assert path.read_bytes() == before


def test_diverging_training_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    options = {"lr": 1e30, "final_lr": 1e30, "evaluate_every": 1}
    message = "the loss became nan at step 1; try a smaller lr"
    with pytest.raises(FloatingPointError, match=message):
        learn(made(6, dtype=torch.float32), path, **options)
    state = unsealed(path.read_bytes())
    assert [e["step"] for e in state["records"][0]["evaluations"]] == [1]


# ---- Wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["samples", "held_out"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.ones(6), r"must have shape \(M, 6\) with M of at least 2, not \(6,\)"),
        (torch.ones(9, 5), r"must have shape \(M, 6\) with M of at least 2, not \(9, 5\)"),
        (torch.ones(1, 6), r"must have shape \(M, 6\) with M of at least 2, not \(1, 6\)"),
        (torch.zeros(9, 6), r"must hold \+1 and -1 only"),
        (torch.full((9, 6), math.nan), r"must hold \+1 and -1 only"),
        ([["a"] * 6] * 9, "must be an array of numbers"),
    ],
)
def test_wrong_samples_are_refused(name, wrong, message):
    with pytest.raises(ValueError, match=f"{name} {message}"):
        learn(made(6), None, **{name: wrong})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, not 0"),
        ({"steps": "9"}, "steps must be an integer of at least 1, not '9'"),
        ({"batch": 0}, "batch must be an integer of at least 1, not 0"),
        ({"batch": 91}, "batch must be at most the 90 samples, not 91"),
        ({"lr": 0}, "lr must be a positive finite number, not 0"),
        ({"final_lr": math.inf}, "final_lr must be a positive finite number, not inf"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"evaluate_every": 0}, "evaluate_every must be an integer of at least 1, not 0"),
        ({"keep": "first"}, 'keep must be "best" or "last", not \'first\''),
    ],
)
def test_a_wrong_schedule_is_refused_before_training(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        learn(made(6), tmp_path / "checkpoint", **options)
    assert not list(tmp_path.iterdir())


def test_a_net_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match=r"the net has nothing to train: CurieWeissN\(n=6"):
        training.maximise_likelihood(CurieWeissN(6, 1.0), boltzmann_samples(6, 9), steps=1, batch=9)
