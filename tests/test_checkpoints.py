"""Checkpoints: the whole state in one file, of this run only, whole or not there."""

import pytest
import torch
from torch.optim import Adam

import arnn
from arnn.checkpoints import Checkpoint, model_identity, sealed
from arnn.nets import OneParameter

IDENTITY = {"steps": 5, "betas": [0.5, 1.0], "tolerance": None}


def training_state(steps):
    """A net, its optimiser and its generator after so many steps."""
    net, generator = OneParameter(4), torch.Generator().manual_seed(3)
    optimiser = Adam(net.parameters(), lr=0.1)
    for _ in range(steps):
        x, _ = net.sample(10, generator)
        optimiser.zero_grad()
        net.log_prob(x).mean().backward()
        optimiser.step()
    return net, optimiser, generator


def saved(path, steps=3):
    net, optimiser, generator = training_state(steps)
    record = {"beta": 0.5, "curve": torch.arange(3.0)}
    Checkpoint(path, net, IDENTITY).save([record], net, optimiser, generator)
    return net, optimiser, generator


def test_the_whole_state_comes_back(tmp_path):
    net, optimiser, generator = saved(tmp_path / "checkpoint")
    other, other_optimiser, other_generator = training_state(0)
    found = Checkpoint(tmp_path / "checkpoint", other, IDENTITY)
    (record,) = found.load(other, other_optimiser, other_generator)
    assert record["beta"] == 0.5
    assert torch.equal(record["curve"], torch.arange(3.0))
    assert torch.equal(other.omega, net.omega)
    assert torch.equal(other_generator.get_state(), generator.get_state())
    for key, value in optimiser.state_dict()["state"][0].items():
        assert torch.equal(other_optimiser.state_dict()["state"][0][key], value)
    assert net.omega.any()


def test_without_a_path_nothing_happens(tmp_path):
    net = OneParameter(4)
    nothing = Checkpoint(None, net, IDENTITY)
    nothing.save([], net)
    assert nothing.load(net) == []
    assert Checkpoint(tmp_path / "checkpoint", net, IDENTITY).load(net) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("net", "identity", "message"),
    [
        (OneParameter(4), IDENTITY | {"steps": 6}, "its steps is 5, not 6"),
        (OneParameter(4), IDENTITY | {"seed": 0}, "its seed is None, not 0"),
        (OneParameter(5), IDENTITY, r"its net is OneParameter\(n=4\) in .*, not OneParameter\(n=5"),
        (OneParameter(4, dtype=torch.float32), IDENTITY, "torch.float64, not .* torch.float32"),
    ],
)
def test_another_run_is_refused_and_its_net_left_alone(tmp_path, net, identity, message):
    path = tmp_path / "checkpoint"
    saved(path)
    with pytest.raises(ValueError, match=f"checkpoint .* is of another run: .*{message}"):
        Checkpoint(path, net, identity).load(net)
    assert not net.omega.any()


def test_hamiltonians_are_told_apart_to_the_last_bit():
    couplings = arnn.sherrington_kirkpatrick(4, 1).couplings
    same = arnn.PairwiseHamiltonian(couplings)
    nearly = couplings.clone()
    nearly[0, 1] = nearly[1, 0] = torch.nextafter(couplings[0, 1], torch.tensor(9.0).double())
    assert model_identity(same) == model_identity(arnn.PairwiseHamiltonian(couplings))
    assert model_identity(same) != model_identity(arnn.PairwiseHamiltonian(nearly))


def flipped(content):
    """The same with one bit changed, in the middle of the numbers."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], flipped, lambda b: b"", lambda b: b"no"]
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "checkpoint"
    net, _, _ = saved(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=r"checkpoint .* is damaged or no checkpoint; remove it to start anew$"
    ):
        Checkpoint(path, net, IDENTITY).load(net)


@pytest.mark.parametrize("content", [{"weights": torch.ones(2)}, {"identity": 3}, [1, 2]])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint"
    path.write_bytes(sealed(content))
    with pytest.raises(
        ValueError, match=r"checkpoint .* is damaged or no checkpoint; remove it to start anew$"
    ):
        Checkpoint(path, OneParameter(4), IDENTITY).load(OneParameter(4))


def test_a_missing_folder_is_said_at_once(tmp_path):
    missing = Checkpoint(tmp_path / "missing" / "checkpoint", OneParameter(4), IDENTITY)
    with pytest.raises(ValueError, match="cannot be written: its folder does not exist"):
        missing.load(OneParameter(4))


def test_a_folder_in_the_way_is_said_and_left_alone(tmp_path):
    (tmp_path / "checkpoint.partial").mkdir()
    with pytest.raises(ValueError, match=r"checkpoint cannot be written: Is a directory$"):
        saved(tmp_path / "checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.partial"]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    saved(path)
    before = path.read_bytes()

    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            saved(path, steps=4)
    assert path.read_bytes() == before
    saved(path, steps=4)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
