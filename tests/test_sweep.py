"""The table of runs: what it may hold, and that the stored results are its results."""

import re
import shutil
import sys

import pytest
import sweep
import yaml

from arnn import runs

ROWS = {row.name: row for row in sweep.read()}
GROUP = {
    "name": "a{n}",
    "notebook": "free_energy",
    "cost": "short",
    "minutes": 1,
    "over": {"n": [6]},
}


def table(path, *groups):
    path.write_text(yaml.safe_dump([GROUP | group for group in groups], sort_keys=False))
    return path


# ---- The table of the book ---------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_every_row_can_be_run(row, tmp_path):
    settings = sweep._settings(row, tmp_path)
    if row.name.startswith(("cw", "sk")):
        model, size = row.name.split("_")[:2]
        assert size == f"n{settings.n}"
        if row.notebook == "free_energy":
            assert settings.model.startswith({"cw": "curie", "sk": "sherr"}[model])
    if row.name.startswith("sk"):
        assert row.name.split("_")[2] == f"s{settings.instance}"


@pytest.mark.parametrize("folder", sorted(sweep.RESULTS.iterdir()), ids=lambda path: path.name)
def test_every_stored_result_is_of_a_row(folder):
    assert sweep.finished(ROWS[folder.name])


# ---- Reading -----------------------------------------------------------------------------------


def test_a_group_is_one_row_for_each_combination(tmp_path):
    group = {"name": "a{n}_{k}", "over": {"n": [3, 4], "k": [0, 1]}, "parameters": {"net": "SKRSB"}}
    rows = sweep.read(table(tmp_path / "table.yaml", group))
    assert [row.name for row in rows] == ["a3_0", "a3_1", "a4_0", "a4_1"]
    assert rows[1].parameters == {"net": "SKRSB", "n": 3, "k": 1}
    assert len({row.stamp() for row in rows}) == 4


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"notebook": "free"}, "notebook of group a{n} must be one of free_energy, tempering, inv"),
        ({"cost": "cheap"}, "cost of group a{n} must be one of short, long, gpu"),
        ({"minutes": 0}, "minutes of group a{n} must be a positive number"),
        ({"minutes": True}, "minutes of group a{n} must be a positive number"),
        ({"parameter": {}}, "group a{n} has an unknown entry 'parameter'"),
        ({"over": {"n": [6, 6]}}, "two rows are named a6"),
        ({"parameters": {"equilibrium": "t{n}"}}, "row a6 needs t6, which is no row"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, group, message):
    path = table(tmp_path / "table.yaml", group)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + ".*" + re.escape(message)):
        sweep.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("a: 1", "must be a list of groups"),
        ("- {}", "a group has no name"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        sweep.read(path)


# ---- What is done ------------------------------------------------------------------------------

RUN = {"net": "CW_N", "beta_start": 0.5, "beta_step": 0.5, "batch": 30, "samples": 80}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The results of a table of one row, and the row."""
    folder = tmp_path_factory.mktemp("sweep")
    (row,) = sweep.read(table(folder / "table.yaml", {"parameters": RUN}))
    sweep.run(row, folder / "results", folder / "work", device="cpu")
    return folder, row


def test_a_row_leaves_its_result_and_its_notebook(done):
    folder, row = done
    assert sweep.finished(row, folder / "results")
    assert runs.load(folder / "results" / "a6").data["beta"].tolist() == [0.5, 1.0, 1.5, 2.0]
    assert [path.name for path in (folder / "work").iterdir()] == ["a6.ipynb"]


def test_only_what_is_there_gets_a_stamp(done, tmp_path):
    folder, row = done
    other = {"name": "b", "over": {}, "parameters": RUN}
    rows = sweep.read(table(tmp_path / "table.yaml", {"parameters": RUN}, other))
    for _ in range(2):
        assert [r.name for r in sweep.stamp(rows, folder / "results", tmp_path / "work")] == ["b"]
        assert [path.name for path in (tmp_path / "work").iterdir()] == [row.stamp()]
    # A stamp whose result has gone is taken back.
    assert len(sweep.stamp(rows, tmp_path / "nothing", tmp_path / "work")) == 2
    assert not list((tmp_path / "work").iterdir())


def test_a_changed_row_is_done_again_and_replaces_its_result(done, tmp_path):
    folder, row = done
    shutil.copytree(folder / "results", tmp_path / "results")
    path = table(tmp_path / "table.yaml", {"parameters": RUN | {"samples": 90}})
    (changed,) = sweep.read(path)
    assert changed.stamp() != row.stamp()
    assert not sweep.finished(changed, tmp_path / "results")
    sweep.run(changed, tmp_path / "results", tmp_path / "work", device="cpu")
    assert sweep.finished(changed, tmp_path / "results")
    assert runs.load(tmp_path / "results" / "a6").data["samples"].tolist() == [90] * 4


def test_a_row_is_not_marked_before_the_row_it_needs(done, tmp_path):
    folder, _ = done
    needing = {"over": {"n": [6]}, "parameters": RUN | {"equilibrium": "t"}}
    path = table(
        tmp_path / "table.yaml", needing, {"name": "t", "notebook": "tempering", "over": {}}
    )
    rows = sweep.read(path)
    assert [row.needs() for row in rows] == ["t", None]
    settings = rows[0].given(tmp_path / "results", tmp_path / "output")
    assert settings["equilibrium"] == str(tmp_path / "results" / "t")
    for results in (folder / "results", tmp_path / "results"):  # with its own result, and without
        assert not sweep.finished(rows[0], results)
        assert len(sweep.stamp(rows, results, tmp_path / "work")) == 2


def test_a_finished_row_is_not_done_again(done, monkeypatch):
    folder, row = done
    monkeypatch.setattr("papermill.execute_notebook", None)
    sweep.run(row, folder / "results", folder / "work")


def test_a_row_with_a_wrong_parameter_is_named(tmp_path):
    (row,) = sweep.read(table(tmp_path / "table.yaml", {"parameters": {"steps": 0}}))
    with pytest.raises(ValueError, match="row a6: steps must be an integer of at least 1, not 0"):
        sweep.finished(row, tmp_path)


def test_the_command_says_what_is_missing(done, monkeypatch, capsys):
    folder, _ = done
    places = ["--table", folder / "table.yaml", "--results", folder / "results"]
    places += ["--work", folder / "work"]
    for command, said in ((["list"], "a6 .* there"), (["stamp"], "0 of 1 runs left")):
        monkeypatch.setattr(sys, "argv", ["sweep.py", *command, *map(str, places)])
        sweep.main()
        assert re.search(said, capsys.readouterr().out)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "run", "a7", *map(str, places)])
    with pytest.raises(ValueError, match="has no row a7"):
        sweep.main()
