"""The yardstick of the benchmarks is the same network, and every measurement runs."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from agreement import check_law

import arnn
import loops
import measure
import natural_gradient
import run
from arnn.nets import MADE, SKRSB
from literal import LiteralNetwork, sample_by_forward_passes

TABLE = Path(run.__file__).with_name("table.json")


@pytest.fixture(params=[0, 1, 2])
def pair(request):
    """A k-RSB network with random numbers, and its literal form, in float64."""
    H = arnn.sherrington_kirkpatrick(7, 3)
    net = SKRSB(H, request.param, beta=0.8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
                parameter.add_(0.3 * noise)
    return net, LiteralNetwork(net)


def test_literal_network_is_the_same_distribution(pair):
    net, literal = pair
    x = arnn.exact.configurations(7)
    assert (net.log_prob(x) - literal.log_prob(x)).abs().max() < 1e-12
    assert literal.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_literal_network_has_the_same_gradient(pair):
    net, literal = pair
    x = arnn.exact.configurations(7)
    cost = torch.linspace(-1, 2, len(x), dtype=torch.float64)
    (cost * net.log_prob(x)).sum().backward()
    (cost * literal.log_prob(x)).sum().backward()
    for i, conditional in enumerate(literal.conditionals):
        assert conditional.bias.grad == pytest.approx(float(net.bias.grad[i]), abs=1e-9)
        for ours, theirs in zip(net.weights, conditional.weights, strict=True):
            assert torch.allclose(ours.grad[:, net.pairs(i)], theirs.grad, atol=1e-9)
        for ours, theirs in zip(net.biases, conditional.biases, strict=True):
            assert torch.allclose(ours.grad[:, net.pairs(i)], theirs.grad, atol=1e-9)


def test_literal_network_draws_from_it(pair):
    net, literal = pair
    x, log_prob = literal.sample(20_000, torch.Generator().manual_seed(3))
    assert (log_prob - net.log_prob(x)).abs().max() < 1e-12
    check_law(x, net)


def test_sampling_by_forward_passes_draws_from_the_net():
    net = MADE(5, depth=2, width=3, generator=torch.Generator().manual_seed(4))
    check_law(sample_by_forward_passes(net, 20_000, torch.Generator().manual_seed(5)), net)


KINDS_OF = {
    "net": ("1P", "CW_inf", "1L", "MADE_32", "SK_1RSB"),
    "literal": ("SK_RS", "SK_2RSB"),
    "literal_memory": ("SK_1RSB",),
    "natural": ("1L", "SK_1RSB"),
    "gpu_instances": ("SK_RS",),
    "lattice": ("SK_RS", "Cavity_2"),
    "forward_passes": ("1L", "MADE_23"),
    "plain": ("1L", "MADE_32", "Cavity_2"),
    "flips": (None,),
}


@pytest.mark.parametrize(("kind", "net"), [(k, net) for k in KINDS_OF for net in KINDS_OF[k]])
def test_measurement_runs(kind, net):
    found = measure.KINDS[kind](net=net, n=4, batch=8, repeats=1, beta=1.0, device="cpu")
    assert json.loads(json.dumps(found)) == found


def test_the_rows_of_a_gpu_are_added_and_printed():
    rows = run.cases([50, 100], gpu=True)
    assert rows[: -len(gpu_rows(rows))] == run.cases([50, 100])
    assert {row["kind"] for row in rows} <= set(measure.KINDS)
    seconds = {"step": measure.summary([0.02]), "gpu": "H100", "memory": 98.4}
    found = [row | seconds | {"roofline": 0.25} for row in gpu_rows(rows)]
    found[-1] |= {"step": measure.summary([0.015, 0.012, 0.013]), "alone": measure.summary([0.01])}
    lines = list(run.as_lines(found))
    assert lines[0].startswith("gpu            1L       n=  50 batch=2000 threads=1  step 20.0 ms")
    assert lines[0].endswith("memory 98 MB, 0.25 of the special functions that H100 can do")
    assert lines[-1].startswith("gpu_instances  SK_2RSB  n=  50 batch=2000 threads=1  step 13.0 ms")
    assert "one instance 10.0 ms, 10 instances/one 1.3" in lines[-1]


def gpu_rows(rows):
    return [row for row in rows if row["kind"].startswith("gpu")]


def test_the_step_that_is_timed_for_instances_trains_each_of_them():
    """As a step of each alone, with the seeds and the instances of the row."""
    step = measure.steps_side_by_side("SK_RS", 6, 50, 3, "cpu")
    for _ in range(2):
        costs = step()
    for seed, cost in enumerate(costs):
        H = arnn.sherrington_kirkpatrick(6, seed + 1, dtype=torch.float32)
        options = {"steps": 2, "batch": 50, "lr": 1e-4, "seed": seed}
        net = measure.make_net("SK_RS", H)
        (record,) = arnn.training.minimise_free_energy(net, H, [measure.BETA], **options)
        expected = float(record["curve"][-1]) * 6 * measure.BETA
        assert cost == pytest.approx(expected, rel=1e-5)


def test_special_functions_of_a_gpu():
    h100 = SimpleNamespace(multi_processor_count=132, clock_rate=1_980_000)
    assert measure.special_functions_per_second(h100) == pytest.approx(4.18e12, rel=1e-3)


@pytest.mark.parametrize("optimiser", natural_gradient.SCHEDULES)
def test_trial_of_the_natural_gradient_runs(optimiser):
    options = {"n": 5, "k": 0, "instance": 1, "steps": 20, "samples": 4000}
    found = natural_gradient.measured(optimiser=optimiser, **options)
    H = arnn.sherrington_kirkpatrick(5, 1)
    true = -float(arnn.exact.log_partition(H, natural_gradient.BETA)) / natural_gradient.BETA / 5
    assert -4 * found["f_error"] < found["f"] - true < 0.01


def test_stored_trial_has_every_training():
    rows = json.loads(natural_gradient.RESULT.read_text())["rows"]
    wanted = list(natural_gradient.cases(50))
    assert [
        {key: row[key] for key in case} for case, row in zip(wanted, rows, strict=True)
    ] == wanted


@pytest.mark.parametrize(
    ("stored", "wanted"), [(TABLE, run.cases([50, 100, 200, 400])), (loops.RESULT, loops.cases())]
)
def test_stored_tables_have_every_measurement(stored, wanted):
    rows = json.loads(stored.read_text())["rows"]
    found = [{key: row[key] for key in case} for case, row in zip(wanted, rows, strict=True)]
    assert found == wanted


def test_every_measurement_of_the_table_is_printed():
    rows = json.loads(TABLE.read_text())["rows"]
    assert len(list(run.as_lines(rows))) == len(rows)
