"""Instances trained side by side: each ends where it would alone, and none sees another."""

import math

import pytest
import torch

import arnn
from arnn import exact, instances, training
from arnn.checkpoints import unsealed
from arnn.nets import MADE, SKRSB, sk

BETAS = [0.6, 1.0]
OPTIONS = {"steps": 10, "first_steps": 12, "batch": 50, "lr": 1e-2, "final_lr": 1e-3}


def random_model(n, seed, dtype=torch.float64):
    """A spin glass with fields."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.randn(n, n, generator=generator, dtype=torch.float64).triu(1) / n**0.5
    fields = 0.5 * torch.randn(n, generator=generator, dtype=torch.float64)
    return arnn.PairwiseHamiltonian(upper + upper.T, fields, dtype=dtype)


def some_models(count, n=8, dtype=torch.float64):
    return [random_model(n, seed, dtype) for seed in range(count)]


def fresh(models, k=1):
    return [SKRSB(H, k, beta=0.5) for H in models]


def moved(net, beta):
    net.set_beta(beta)
    return net


def numbers(net):
    return torch.cat([tensor.detach().flatten() for tensor in net.state_dict().values()])


def relative(found, truth):
    """The largest relative error of any parameter tensor."""
    pairs = zip(found.parameters(), truth.parameters(), strict=True)
    return max(float((a - b).detach().norm() / b.detach().norm()) for a, b in pairs)


def same_bits(left, right):
    """Whether the records of all nets are the same."""
    for a, b in zip(left, right, strict=True):
        for one, other in zip(a, b, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                assert torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name])), name
    return True


def require_as_alone(nets, records, alone, models, seeds, **options):
    """Train each net alone and compare what came out with the training of all at once."""
    for net, record, other, H, seed in zip(nets, records, alone, models, seeds, strict=True):
        start = numbers(other)
        expected = training.minimise_free_energy(other, H, BETAS, seed=seed, **OPTIONS | options)
        assert (numbers(other) - start).abs().max() > 0.01
        assert relative(net, other) < 1e-9
        for ours, theirs in zip(record, expected, strict=True):
            assert ours["beta"] == theirs["beta"]
            for curve in ("curve", "curve_std"):
                torch.testing.assert_close(ours[curve], theirs[curve], rtol=1e-9, atol=1e-12)


# ---- Each as if alone --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_each_instance_ends_where_it_ends_alone(k, count):
    models = some_models(count)
    nets, alone, seeds = fresh(models, k), fresh(models, k), [7, 0, 3][:count]
    records = instances.minimise_free_energies(nets, models, BETAS, seed=seeds, **OPTIONS)
    assert [len(record["curve"]) for record in records[0]] == [12, 10]
    require_as_alone(nets, records, alone, models, seeds)


@pytest.mark.parametrize("n", [1, 2])
def test_the_smallest_systems_are_no_exception(n):
    models = some_models(2, n)
    nets, alone = fresh(models), fresh(models)
    records = instances.minimise_free_energies(nets, models, BETAS, **OPTIONS)
    for net, record, other, H in zip(nets, records, alone, models, strict=True):
        expected = training.minimise_free_energy(other, H, BETAS, **OPTIONS)
        assert torch.allclose(numbers(net), numbers(other), rtol=0, atol=1e-12)
        for ours, theirs in zip(record, expected, strict=True):
            torch.testing.assert_close(ours["curve"], theirs["curve"], rtol=0, atol=1e-12)


def test_every_net_follows_the_temperature_from_its_own_start():
    """Nets made at other temperatures, by another start, and Curie-Weiss among spin glasses."""
    models = [random_model(6, 0), arnn.curie_weiss(6, 0.8, 0.1), random_model(6, 1)]

    def made():
        generator = torch.Generator().manual_seed(2)
        starts = [(0.3, "physics"), (1.7, "physics"), (0.9, "paper")]
        return [
            SKRSB(H, 1, beta=beta, init=init, generator=generator)
            for H, (beta, init) in zip(models, starts, strict=True)
        ]

    nets, alone = made(), made()
    records = instances.minimise_free_energies(nets, models, BETAS, seed=4, **OPTIONS)
    require_as_alone(nets, records, alone, models, [4, 4, 4])
    assert [float(net.beta) for net in nets] == [1.0, 1.0, 1.0]


def test_numbers_that_a_net_keeps_fixed_stay():
    models = some_models(2)
    nets, alone = fresh(models), fresh(models)
    for net in nets + alone:
        net.weights[0].requires_grad_(False)
    before = [net.weights[0].clone() for net in nets]
    records = instances.minimise_free_energies(nets, models, BETAS, **OPTIONS)
    assert all(torch.equal(a, net.weights[0]) for a, net in zip(before, nets, strict=True))
    require_as_alone(nets, records, alone, models, [0, 0])


def test_an_instance_sees_nothing_of_the_others():
    models = some_models(3)
    changed = [*models[:2], random_model(8, 99)]
    nets, others = fresh(models), fresh(changed)
    records = instances.minimise_free_energies(nets, models, BETAS, **OPTIONS)
    others_records = instances.minimise_free_energies(others, changed, BETAS, **OPTIONS)
    for r in (0, 1):
        assert (numbers(nets[r]) - numbers(others[r])).abs().max() < 1e-12
        assert (records[r][-1]["curve"] - others_records[r][-1]["curve"]).abs().max() < 1e-12
    assert (numbers(nets[2]) - numbers(others[2])).abs().max() > 0.1


def test_the_baseline_is_that_of_each_instance():
    """The mean over all would add multiples of grad ln Q, which is not zero in a batch."""
    models = [random_model(5, 0), arnn.curie_weiss(5, 1.0, 30.0)]  # costs far apart
    nets, alone = fresh(models), fresh(models)
    records = instances.minimise_free_energies(nets, models, BETAS, seed=[1, 2], **OPTIONS)
    levels = [record[0]["curve"][0].item() for record in records]
    assert abs(levels[0] - levels[1]) > 20
    require_as_alone(nets[:1], records[:1], alone[:1], models[:1], [1])


def test_in_float32_it_learns_as_by_the_compiled_loops():
    models = some_models(2, 12, torch.float32)
    nets, alone = fresh(models), fresh(models)
    options = OPTIONS | {"batch": 400}
    records = instances.minimise_free_energies(nets, models, BETAS, seed=[1, 2], **options)
    for r, (net, H) in enumerate(zip(alone, models, strict=True)):
        expected = training.minimise_free_energy(net, H, BETAS, seed=r + 1, **options)
        found, wanted = records[r][0]["curve"], expected[0]["curve"]
        # Rounding may turn a spin over now and then, but the samples are the same ones.
        error = expected[0]["curve_std"].max() / math.sqrt(400)
        assert (found - wanted).abs().max() < 0.2 * error
        assert nets[r].weights[0].dtype == torch.float32


# ---- What training reaches ---------------------------------------------------------------------


def test_three_spin_glasses_are_learned_in_one_call():
    models = [arnn.sherrington_kirkpatrick(7, seed) for seed in (1, 2, 3)]
    nets = fresh(models)
    before = [
        exact.variational_free_energy(net, H, 0.5).kl for net, H in zip(nets, models, strict=True)
    ]
    model_of = dict(zip(nets, models, strict=True))
    seen = []

    def look(net, beta, index):
        seen.append((nets.index(net), beta, index))
        return {"kl": exact.variational_free_energy(net, model_of[net], beta).kl.detach()}

    options = {"steps": 100, "batch": 200, "lr": 2e-2, "final_lr": 1e-3, "seed": [1, 2, 3]}
    records = instances.minimise_free_energies(
        nets, models, [0.5, 1.0], after_temperature=look, **options
    )
    assert seen == [(r, beta, i) for i, beta in enumerate([0.5, 1.0]) for r in range(3)]
    for start, net, H, record in zip(before, nets, models, records, strict=True):
        assert record[0]["kl"] < 0.2 * start
        found = exact.variational_free_energy(net, H, 1.0)
        assert record[1]["kl"] == found.kl
        assert 0 < found.kl < 1e-3
        estimate = record[1]["curve"][-30:].mean().item()
        assert estimate == pytest.approx(found.beta_free_energy.item() / 7, abs=5e-3)


# ---- The chain that GPUs compile ---------------------------------------------------------------


def test_one_compiled_chain_serves_all_conditionals_and_numbers_of_instances(monkeypatch):
    compiled = []

    def backend(graph, _inputs):
        compiled.append(graph)
        return graph.forward

    def chain(_net, fields):
        """As `SKRSB._chain` on a GPU, with a backend that needs no compiler of its own."""
        return sk.compiled_chain(backend) if fields > 1 else sk.nested_log_sigmoids

    for n, count in ((7, 3), (9, 4), (6, 2)):
        models = some_models(count, n)
        nets, plain = fresh(models), fresh(models)
        instances.minimise_free_energies(plain, models, BETAS, **OPTIONS)
        with monkeypatch.context() as patch:
            patch.setattr(SKRSB, "_chain", chain)
            instances.minimise_free_energies(nets, models, BETAS, **OPTIONS)
        assert max(relative(a, b) for a, b in zip(nets, plain, strict=True)) < 1e-9
    assert len(compiled) == 1


# ---- Checkpoints -------------------------------------------------------------------------------


class Stop(Exception):
    pass


def anneal(nets, models, checkpoint, stop_at=None, **changes):
    """Three temperatures; stops where (index, number of the net) is stop_at."""

    def after_temperature(net, beta, index):
        if (index, nets.index(net)) == stop_at:
            raise Stop
        return {"log_prob": net.log_prob(torch.ones(1, net.n, dtype=net.dtype)).detach()}

    options = {"betas": [0.4, 0.8, 1.2], "steps": 4, "batch": 20, "lr": 1e-2, "final_lr": 1e-3}
    options |= {"seed": [5, 6]} | changes
    return instances.minimise_free_energies(
        nets, models, checkpoint=checkpoint, after_temperature=after_temperature, **options
    )


@pytest.mark.parametrize("stops", [[(0, 0)], [(1, 1)], [(1, 0), (1, 1), (2, 0)]])
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, stops):
    models = some_models(2, 6)
    whole, path = fresh(models), tmp_path / "checkpoint"
    expected = anneal(whole, models, None)
    for stop in stops:
        with pytest.raises(Stop):
            anneal(fresh(models), models, path, stop_at=stop)
    nets = fresh(models)
    assert same_bits(anneal(nets, models, path), expected)
    assert all(torch.equal(numbers(a), numbers(b)) for a, b in zip(nets, whole, strict=True))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
    # A finished run is not repeated: these nets take their numbers from the file.
    again = fresh(models)
    assert same_bits(anneal(again, models, path), expected)
    assert all(torch.equal(numbers(a), numbers(b)) for a, b in zip(again, whole, strict=True))


@pytest.mark.parametrize(
    ("k", "changes", "message"),
    [
        (1, {"steps": 5}, "its steps is 4, not 5"),
        (1, {"seed": [5, 7]}, r"its seed is \[5, 6\], not \[5, 7\]"),
        (1, {"seed": 5}, r"its seed is \[5, 6\], not \[5, 5\]"),
        (1, {"identity": {"samples": 90}}, "its samples is 80, not 90"),
        (0, {}, r"its nets is 2 times SKRSB\(n=6, k=1\) in torch.float64, not 2 .*k=0"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, k, changes, message):
    models, path = some_models(2, 6), tmp_path / "checkpoint"
    told = {"identity": {"samples": 80}}
    with pytest.raises(Stop):
        anneal(fresh(models), models, path, stop_at=(2, 0), **told)
    before, nets = path.read_bytes(), fresh(models, k)
    untouched = [numbers(net) for net in nets]
    with pytest.raises(ValueError, match=f"checkpoint .* is of another run: {message}"):
        anneal(nets, models, path, **told | changes)
    assert path.read_bytes() == before
    assert all(torch.equal(a, numbers(b)) for a, b in zip(untouched, nets, strict=True))


def test_the_checkpoint_of_other_instances_is_refused(tmp_path):
    models, path = some_models(2, 6), tmp_path / "checkpoint"
    anneal(fresh(models), models, path)
    other = [models[0], random_model(6, 9)]
    with pytest.raises(ValueError, match=r"its hamiltonian of nets\[1\] is Pairwise"):
        anneal(fresh(other), other, path)
    with pytest.raises(ValueError, match=r"its hamiltonian of nets\[0\] is Pairwise"):
        anneal(fresh(models[::-1]), models[::-1], path)
    # Nor does a training alone go on from it, or it from a training alone.
    with pytest.raises(ValueError, match="is of another run"):
        training.minimise_free_energy(fresh(models)[0], models[0], [0.4], checkpoint=path)
    alone = tmp_path / "alone"
    training.minimise_free_energy(
        fresh(models)[0], models[0], [0.4], steps=1, batch=9, checkpoint=alone
    )
    with pytest.raises(ValueError, match="is of another run"):
        anneal(fresh(models), models, alone)


# ---- Divergence --------------------------------------------------------------------------------


def test_a_free_energy_that_is_not_finite_stops_all_and_names_the_net(tmp_path):
    models, path = some_models(3, 6), tmp_path / "checkpoint"
    nets = fresh(models)
    left = []

    def spoil(net, beta, index):
        if nets.index(net) == 1:
            with torch.no_grad():
                net.bias[2] = math.nan
        left.append(numbers(net))
        return {}

    message = r"the free energy of nets\[1\] became nan at beta = 1, step 0; try a smaller lr"
    with pytest.raises(FloatingPointError, match=message):
        instances.minimise_free_energies(
            nets, models, BETAS, checkpoint=path, after_temperature=spoil, **OPTIONS
        )
    # The others hold what they had at the first temperature, moved to the second.
    assert torch.allclose(numbers(moved(nets[0], BETAS[0])), left[0], rtol=0, atol=1e-12)
    state = unsealed(path.read_bytes())
    assert [[record["beta"] for record in records] for records in state["records"]] == [[0.6]] * 3


def test_a_lost_training_stops_all_and_names_the_net():
    """One step far too large for a spin glass leaves nets of free spins exact, as they begin."""
    free = arnn.curie_weiss(6, coupling=0.0, field=0.4)
    models = [free, random_model(6, 0), free]
    nets = fresh(models)
    options = OPTIONS | {"first_steps": 2, "lr": 60.0, "final_lr": 60.0}
    message = r"the free energy of nets\[1\] became \d+\.\d+ at beta = 0.6, step 1; try a smaller"
    with pytest.raises(FloatingPointError, match=message):
        instances.minimise_free_energies(nets, models, BETAS, **options)
    assert torch.equal(numbers(nets[1]), numbers(moved(fresh(models)[1], BETAS[0])))


def test_an_f_after_the_last_step_that_is_far_above_its_start_stops_all(tmp_path):
    """As in a training alone: the curve ends before the last step."""
    models, checkpoint = some_models(2), tmp_path / "state"

    def lost_at_the_second(net, beta, index):
        return {"f": 10.0 if net is nets[1] and index else -10.0}

    nets = fresh(models)
    options = OPTIONS | {"after_temperature": lost_at_the_second}
    message = r"of nets\[1\] became 10 at beta = 1, after the last step"
    with pytest.raises(FloatingPointError, match=message):
        instances.minimise_free_energies(nets, models, BETAS, checkpoint=checkpoint, **options)
    assert len(unsealed(checkpoint.read_bytes())["records"][0]) == 1


# ---- Wrong input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": []}, "betas must hold at least one inverse temperature"),
        ({"betas": [0.5, 0]}, "every beta must be a positive finite number, not 0"),
        ({"steps": 0}, "steps must be an integer of at least 1, not 0"),
        ({"first_steps": 1.5}, "first_steps must be an integer of at least 1, not 1.5"),
        ({"batch": 1}, "batch must be an integer of at least 2, not 1"),
        ({"lr": 0}, "lr must be a positive finite number, not 0"),
        ({"final_lr": "1"}, "final_lr must be a positive finite number, not '1'"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"seed": [1, 2.5]}, "seed must be an integer of at least 0, not 2.5"),
        ({"seed": [1, 2, 3]}, "there are 2 nets and 3 seeds"),
    ],
)
def test_a_wrong_schedule_is_refused_before_training(tmp_path, options, message):
    models = some_models(2, 6)
    nets = fresh(models)
    before = [numbers(net) for net in nets]
    with pytest.raises(ValueError, match=message):
        anneal(nets, models, tmp_path / "checkpoint", **options)
    assert not list(tmp_path.iterdir())
    assert all(torch.equal(a, numbers(net)) for a, net in zip(before, nets, strict=True))


def float32_net(H):
    return SKRSB(H, 1, beta=0.5, dtype=torch.float32)


class Other(SKRSB):
    """Another network that happens to be derived from this one."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda H: MADE(6, 2, 2), r"nets\[1\] must be an SKRSB, not MADE\(n=6"),
        (lambda H: Other(H, 1, beta=0.5), r"nets\[1\] must be an SKRSB, not Other\(n=6"),
        (lambda H: SKRSB(H, 1, beta=0.5, learn_first_layer=True), r"nets\[1\] learns its first"),
        (lambda H: SKRSB(random_model(5, 0), 1, beta=0.5), r"their n, .*nets\[0\] is 6 .* is 5"),
        (lambda H: SKRSB(H, 2, beta=0.5), r"agree in their k, but that of nets\[0\] is 1 .* is 2"),
        (float32_net, r"their dtype, .* is torch.float64 and that of nets\[1\] is torch.float32"),
        (lambda H: SKRSB(H, 1, beta=0.5).to("meta"), "their device, .* is cpu and .* is meta"),
    ],
)
def test_nets_that_are_not_alike_are_refused(make, message):
    models = some_models(2, 6)
    nets = [SKRSB(models[0], 1, beta=0.5), make(models[1])]
    with pytest.raises(ValueError, match=message):
        instances.minimise_free_energies(nets, models, BETAS, **OPTIONS)


def test_lists_that_do_not_fit_are_refused():
    models = some_models(2, 6)
    nets = fresh(models)
    frozen = fresh(models)
    frozen[1].bias.requires_grad_(False)
    cases = [
        ([], [], "nets must hold at least one net"),
        (nets, models[:1], "there are 2 nets and 1 models"),
        (nets, models[0], r"models must be a list, not PairwiseHamiltonian\(n=6\)"),
        (nets[0], models[:1], r"nets must be a list, not SKRSB\(n=6, k=1\)"),
        (nets, [models[0], random_model(5, 0)], r"nets\[1\] has 6 spins and its Hamiltonian 5"),
        (nets, [models[0], models[1].couplings], r"models\[1\] must be a PairwiseHamiltonian"),
        ([nets[0], nets[0]], models, r"nets\[1\] is given twice"),
        (frozen, models, "the nets must agree in their list of trained numbers"),
    ]
    for wrong_nets, wrong_models, message in cases:
        with pytest.raises(ValueError, match=message):
            instances.minimise_free_energies(wrong_nets, wrong_models, BETAS, **OPTIONS)
