"""A sweep on a real Slurm of one node: `make test-slurm`. Needs root on Debian."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sweeping import ROOT, SMOKE, command, hashes

HERE = Path(__file__).resolve().parent
PROFILE = ROOT / "book" / "runs" / "profiles" / "slurm"


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """The Slurm of these tests."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([HERE / "start.sh", folder], check=True)
        yield
    finally:
        subprocess.run([HERE / "stop.sh", folder], check=True)


def on_slurm(folder):
    """The call that does it by jobs of Slurm; the Slurm of these tests keeps no accounts."""
    # Short waits, since everything is on one machine.
    options = ["--rerun-incomplete", "--profile", PROFILE, "--latency-wait", 10]
    options += ["--seconds-between-status-checks", 2]
    options += ["--slurm-status-command", "squeue", "--slurm-no-account"]
    options += ["--slurm-init-seconds-before-status-checks", 2]
    return command(folder, *options)


def jobs(state):
    """The numbers of the jobs in a state."""
    done = subprocess.run(
        ["squeue", "--noheader", "--states", state, "--format", "%i"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The results of the same table without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    shutil.copy(SMOKE, folder / "table.yaml")
    subprocess.run(command(folder, "--cores", 2), cwd=folder, check=True)
    return hashes(folder)


def test_a_sweep_gives_the_results_that_it_gives_without_slurm(local, tmp_path):
    shutil.copy(SMOKE, tmp_path / "table.yaml")
    subprocess.run(on_slurm(tmp_path), cwd=tmp_path, check=True, timeout=900)
    assert hashes(tmp_path) == local


def test_a_job_that_was_cancelled_is_taken_up_again(local, tmp_path):
    shutil.copy(SMOKE, tmp_path / "table.yaml")
    process = subprocess.Popen(on_slurm(tmp_path), cwd=tmp_path, start_new_session=True)
    try:
        for _ in range(600):
            if running := jobs("RUNNING"):
                break
            time.sleep(0.2)
        time.sleep(4)  # into the work of the job
        subprocess.run(["scancel", "--signal", "KILL", running[0]], check=True)
        assert process.wait(timeout=900) != 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    missing = local.keys() - hashes(tmp_path).keys()
    assert len(missing) == 1
    subprocess.run(on_slurm(tmp_path), cwd=tmp_path, check=True, timeout=900)
    assert hashes(tmp_path) == local
