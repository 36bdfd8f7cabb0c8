"""Snakemake carries out a table of runs: all of it, once, and on after a failure."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import sweep
import yaml
from sweeping import SMOKE, command, hashes

from arnn import runs


def snakemake(folder, *options):
    """Carry out the table of a folder; returns the finished process."""
    call = command(folder, "--cores", 2, *options)
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which Snakemake has carried out the whole toy table."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copy(SMOKE, folder / "table.yaml")
    process = snakemake(folder)
    assert process.returncode == 0, process.stderr
    assert "All runs are there." in process.stderr
    # Two runs at a time, so that the last two may each count the other one.
    assert re.search(r"is there; [01] of 7 runs left, about 0\.0 hours", process.stderr)
    return folder


def test_every_row_has_its_result(done):
    rows = sweep.read(SMOKE)
    assert sorted(hashes(done)) == sorted(row.name for row in rows)
    assert not sweep.stamp(rows, done / "results", done / "work")


def test_a_row_waits_for_the_samples_on_which_its_net_is_judged(done):
    """The training comes before the tempering run in the table."""
    data = runs.load(done / "results" / "sk_n6_s1_1L").data
    samples = runs.load(done / "results" / "sk_n6_s1_tempering").data["kept_spins"]
    assert data["equilibrium_beta"].tolist() == [1.5]
    assert data["equilibrium_log_prob"].shape == samples.shape[:2]


def test_the_results_are_those_without_snakemake(done, tmp_path):
    rows = {row.name: row for row in sweep.read(SMOKE)}
    for name in ("sk_n6_s2_SK_RS", "inverse_toy"):
        sweep.run(rows[name], tmp_path / "results", tmp_path / "work", device="cpu")
        assert hashes(tmp_path)[name] == hashes(done)[name]


def test_nothing_is_done_twice(done):
    before = {path: path.stat().st_mtime_ns for path in (done / "results").rglob("*")}
    process = snakemake(done)
    assert process.returncode == 0, process.stderr
    assert "Nothing to be done" in process.stderr + process.stdout
    assert {path: path.stat().st_mtime_ns for path in (done / "results").rglob("*")} == before


def test_a_changed_row_alone_is_done_again(done, tmp_path):
    shutil.copytree(done / "results", tmp_path / "results")
    shutil.copytree(done / "work", tmp_path / "work")
    groups = yaml.safe_load(SMOKE.read_text())
    groups[0]["parameters"]["samples"] = 90
    groups[0]["over"]["net"] = ["1P"]
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(groups))
    process = snakemake(tmp_path)
    assert process.returncode == 0, process.stderr
    before, after = hashes(done), hashes(tmp_path)
    assert [name for name in after if after[name] != before[name]] == ["cw_n6_1P"]


def test_a_failed_run_leaves_its_notebook_and_the_others_go_on(tmp_path):
    groups = yaml.safe_load(SMOKE.read_text())[:2]
    groups[1]["parameters"] |= {"lr": 1e30, "optimiser": "adam", "net": "MADE"}  # diverges
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(groups))
    process = snakemake(tmp_path)
    assert process.returncode != 0
    assert sorted(hashes(tmp_path)) == ["cw_n6_1P", "cw_n6_CW_N"]
    assert "2 of 4 runs left" in process.stderr
    executed = tmp_path / "work" / "sk_n6_s1_SK_RS.ipynb"
    assert "the free energy became" in executed.read_text()
    (log,) = (tmp_path / "work").glob("sk_n6_s1_SK_RS.*.log")
    assert "the free energy became" in log.read_text()


def test_a_killed_sweep_goes_on_and_ends_with_the_same_results(done, tmp_path):
    """Kill it and all that it started in the middle, then call again."""
    shutil.copy(SMOKE, tmp_path / "table.yaml")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    call = command(tmp_path, "--cores", 2)
    process = subprocess.Popen(call, cwd=tmp_path, start_new_session=True, **quiet)
    try:
        for _ in range(1200):
            if hashes(tmp_path):
                break
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < len(hashes(tmp_path)) < len(hashes(done))
    for options in (["--unlock"], ["--rerun-incomplete"]):
        process = snakemake(tmp_path, *options)
        assert process.returncode == 0, process.stderr
    assert hashes(tmp_path) == hashes(done)
