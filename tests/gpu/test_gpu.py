"""The networks on a GPU against those on the CPU: `make test-gpu`. Fails where there is no GPU."""

import math

import pytest
import torch

from arnn import estimators, instances, runs, sherrington_kirkpatrick, training
from arnn.experiments import FreeEnergyRun, run_free_energy
from arnn.nets import SKRSB

DEVICE = "cuda"


def pair_of_nets(n, k, learn_first_layer):
    """A net in float32 on the GPU and the same one in float64 on the CPU, off the physics start."""
    generator = torch.Generator().manual_seed(n + k)
    options = {"beta": 1.2, "learn_first_layer": learn_first_layer, "generator": generator}
    reference = SKRSB(sherrington_kirkpatrick(n, 1), k, **options)
    with torch.no_grad():
        for parameter in reference.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.4 * noise)
    where = {"dtype": torch.float32, "device": DEVICE}
    options |= where
    H = sherrington_kirkpatrick(n, 1, **where)
    net = SKRSB(H, k, **(options | {"generator": torch.Generator().manual_seed(0)}))
    net.load_state_dict(reference.state_dict())
    return net, reference


def relative(found, truth):
    difference = found.detach().cpu().double() - truth.detach()
    return float(difference.norm() / truth.detach().norm())


@pytest.mark.parametrize("learn_first_layer", [False, True])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
@pytest.mark.parametrize(("n", "batch"), [(2, 5), (19, 301), (60, 1000)])
def test_log_prob_and_gradient_of_the_cpu_in_float64(n, batch, k, learn_first_layer):
    net, reference = pair_of_nets(n, k, learn_first_layer)
    x, log_prob = net.sample_for_training(batch, torch.Generator(DEVICE).manual_seed(1))
    truth = reference.log_prob(x.cpu().double())
    assert relative(log_prob, truth) < 1e-5
    cost = torch.randn(batch, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (cost * truth).sum().backward()
    (cost.to(log_prob) * log_prob).sum().backward()
    for (name, wanted), found in zip(reference.named_parameters(), net.parameters(), strict=True):
        if wanted.requires_grad and wanted.grad.norm() > 0:
            assert relative(found.grad, wanted.grad) < 1e-4, name


@pytest.mark.parametrize("optimiser", ["adam", "natural"])
def test_a_run_on_the_gpu_agrees_with_the_run_on_the_cpu_within_error(optimiser, tmp_path):
    common = {"model": "sherrington_kirkpatrick", "n": 20, "net": "SKRSB", "k": 1}
    common |= {"optimiser": optimiser, "beta_start": 0.5, "beta_end": 1.0, "beta_step": 0.25}
    common |= {"steps": 60, "batch": 1000}
    found = {}
    for device in (DEVICE, "cpu"):
        settings = FreeEnergyRun(**common, device=device, output=str(tmp_path / device))
        run_free_energy(settings, progress=False)
        found[device] = runs.load(tmp_path / device).data
    for index in range(3):
        here, there = found["cpu"], found[DEVICE]
        error = math.hypot(here["f_error"][index], there["f_error"][index])
        assert abs(here["f"][index] - there["f"][index]) < 4 * error


@pytest.mark.parametrize("k", [0, 1])
def test_instances_in_one_call_agree_with_separate_trainings_within_error(k):
    where = {"dtype": torch.float32, "device": DEVICE}
    models = [sherrington_kirkpatrick(20, seed, **where) for seed in (1, 2, 3)]
    betas, options = [0.5, 1.0], {"steps": 60, "batch": 1000, "final_lr": 1e-4}
    together = [SKRSB(H, k, beta=0.5) for H in models]
    found = instances.minimise_free_energies(together, models, betas, seed=[1, 2, 3], **options)
    for r, (net, H) in enumerate(zip(together, models, strict=True)):
        alone = SKRSB(H, k, beta=0.5)
        records = training.minimise_free_energy(alone, H, betas, seed=r + 1, **options)
        # The first samples are the same, but for a spin that rounding turns over now and then.
        first, there = float(found[r][0]["curve"][0]), float(records[0]["curve"][0])
        assert first == pytest.approx(there, rel=5e-4)
        generators = [torch.Generator(DEVICE).manual_seed(seed) for seed in (10 + r, 20 + r)]
        one, other = (
            estimators.free_energy(trained, H, 1.0, 20_000, generator=generator)
            for trained, generator in zip((net, alone), generators, strict=True)
        )
        assert abs(one.f - other.f) < 4 * math.hypot(one.f_error, other.f_error)
        assert net.device.type == alone.device.type == DEVICE
