"""Runs survive what happens to processes and disks, and say what is wrong in one sentence.

The campaigns are those of `make faults`, with fewer kills.
"""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import faults
from arnn import records, runs
from arnn.checkpoints import sealed
from arnn.experiments import FreeEnergyRun, run_free_energy

KILLS = 5  # of each kind of run, at random moments


@pytest.mark.parametrize("kind", faults.KINDS)
def test_runs_killed_at_random_moments_end_with_the_same_bits(kind, tmp_path):
    wanted, seconds = faults.left_alone(kind, tmp_path / "alone")
    found, counts = faults.killed_at_random(kind, tmp_path, KILLS, seconds, seed=1)
    assert set(found) == {wanted}
    assert counts["kills"] == KILLS
    assert all(path.is_dir() for path in tmp_path.iterdir()), "a file was left behind"


def test_a_run_killed_before_any_of_its_writes_ends_with_the_same_bits(tmp_path):
    wanted, _ = faults.left_alone("adam", tmp_path / "alone")
    found, counts = faults.killed_at_each_write("adam", tmp_path)
    assert set(found) == {wanted}
    temperatures = 6  # each has a checkpoint, written by two calls
    assert counts["kills"] == len(found) >= 2 * temperatures
    assert all(path.is_dir() for path in tmp_path.iterdir()), "a file was left behind"


def test_the_stored_campaign_lost_nothing():
    rows = json.loads(faults.RESULT.read_text())["rows"]
    assert [row["kind"] for row in rows] == list(faults.KINDS)
    for row in rows:
        assert row["identical"] == row["results"]
        assert row["at_random"]["kills"] >= 30
        assert row["at_random"]["with_checkpoint"] >= 5
        assert row["files_left"] == []


def toy(folder, **others):
    """A training of two temperatures."""
    options = {"net": "MADE", "n": 6, "beta_start": 0.5, "beta_end": 1.0, "beta_step": 0.5}
    options |= {"steps": 5, "batch": 20, "samples": 40, "output": str(folder / "result")}
    return FreeEnergyRun(**options | others)


class StopError(Exception):
    """What ends a run in the middle."""


def stopped(run, monkeypatch):
    """Do a run up to its second temperature; returns the path of the checkpoint it leaves."""
    whole = records._estimates

    def until_the_second(settings, net, H, beta, index):
        if index:
            raise StopError
        return whole(settings, net, H, beta, index)

    with monkeypatch.context() as patch:
        patch.setattr(records, "_estimates", until_the_second)
        with pytest.raises(StopError):
            run_free_energy(run, progress=False)
    return Path(run.output + ".checkpoint")


def test_a_full_disk_is_said_and_costs_the_temperature_in_progress_alone(tmp_path, monkeypatch):
    run = toy(tmp_path)
    checkpoint = stopped(run, monkeypatch)
    before = checkpoint.read_bytes()
    # What is written to /dev/full meets a disk that is full.
    checkpoint.with_name(checkpoint.name + ".partial").symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"checkpoint cannot be written: No space left on device$"):
        run_free_energy(run, progress=False)
    assert checkpoint.read_bytes() == before
    resumed = run_free_energy(run, progress=False)
    (tmp_path / "alone").mkdir()
    alone = run_free_energy(toy(tmp_path / "alone"), progress=False)
    assert resumed.manifest["sha256"] == alone.manifest["sha256"]


def test_a_folder_that_cannot_be_written_is_said_before_any_work(monkeypatch):
    monkeypatch.setattr(records, "_train", None)  # calling it is a TypeError
    with pytest.raises(ValueError, match=r"^output /proc/result cannot be written: "):
        run_free_energy(toy(Path("/proc")), progress=False)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"damaged!!"])
def test_a_damaged_checkpoint_stops_the_run_and_stays(tmp_path, monkeypatch, damage):
    run = toy(tmp_path)
    checkpoint = stopped(run, monkeypatch)
    damaged = damage(checkpoint.read_bytes())
    checkpoint.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"is damaged or no checkpoint; remove it to start anew$"):
        run_free_energy(run, progress=False)
    assert checkpoint.read_bytes() == damaged
    assert [path.name for path in tmp_path.iterdir()] == ["result.checkpoint"]


def test_a_checkpoint_of_an_older_version_is_refused(tmp_path, monkeypatch):
    run = toy(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("arnn.checkpoints.FORMAT", 1)
        checkpoint = stopped(run, monkeypatch)
    with pytest.raises(ValueError, match=r"is of another run: its format is 1, not 2$"):
        run_free_energy(run, progress=False)
    assert checkpoint.exists()


def test_a_result_of_an_older_version_is_refused_and_stays(tmp_path):
    run = toy(tmp_path)
    run_free_energy(run, progress=False)
    manifest = tmp_path / "result" / runs.MANIFEST
    text = manifest.read_text().replace('"format": 1', '"format": 0')
    manifest.write_text(text)
    with pytest.raises(ValueError, match=r"has format 0, and this version reads 1$"):
        run_free_energy(run, progress=False)
    assert manifest.read_text() == text


def test_a_manifest_that_disagrees_with_its_data_is_said(tmp_path):
    run = toy(tmp_path)
    run_free_energy(run, progress=False)
    other = run_free_energy(toy(tmp_path, seed=1, output=str(tmp_path / "other")), progress=False)
    manifest = tmp_path / "result" / runs.MANIFEST
    manifest.write_text(json.dumps(other.manifest))
    with pytest.raises(ValueError, match=r"is damaged: data.npz has sha256 .* its manifest says"):
        run_free_energy(run, progress=False)


def test_two_processes_do_not_work_on_one_result(tmp_path):
    process = faults.start("exact", tmp_path / "result")
    try:
        while not (tmp_path / "result.checkpoint").exists():
            assert process.is_alive()
        with pytest.raises(ValueError, match=r"another process is at work on .*result$"):
            faults.run("exact", tmp_path / "result")
    finally:
        process.kill()
        process.join()
    faults.run("exact", tmp_path / "result")  # the lock of a dead process holds nobody up
    assert runs.verify(tmp_path / "result")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


class Trap:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_no_pickle_is_carried_out(tmp_path):
    sprung = tmp_path / "sprung"
    run = toy(tmp_path)
    checkpoint = Path(run.output + ".checkpoint")
    state = {"identity": {}, "records": Trap(str(sprung))}
    for content in (pickle.dumps(state), sealed(state)):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or no checkpoint"):
            run_free_energy(run, progress=False)
    checkpoint.unlink()
    result = run_free_energy(run, progress=False)
    trapped = np.array([Trap(str(sprung))], dtype=object)
    with pytest.raises(ValueError, match="holds Python objects"):
        runs.save(tmp_path / "x", {"f": trapped}, {}, wall_time=0, device="cpu")
    np.savez(tmp_path / "result" / runs.DATA, f=trapped)
    digest = runs.hashlib.sha256((tmp_path / "result" / runs.DATA).read_bytes()).hexdigest()
    manifest = json.dumps(result.manifest | {"sha256": digest})
    (tmp_path / "result" / runs.MANIFEST).write_text(manifest)
    with pytest.raises(ValueError, match="holds no plain arrays"):
        run_free_energy(run, progress=False)
    assert not sprung.exists()
