"""Training on couplings of one's own, from a file or in one call."""

import networkx as nx
import numpy as np
import pytest

import arnn
from arnn import exact, problems
from arnn.experiments import FreeEnergyRun, free_energy_of, run_free_energy

SCHEDULE = {"beta_start": 0.5, "beta_end": 1.0, "beta_step": 0.25, "batch": 300, "samples": 4000}
SCHEDULE |= {"threads": 1, "steps": 40}
NETS = [
    {"net": "SKRSB", "k": 1, "optimiser": "natural"},
    {"net": "Cavity", "depth": 4, "optimiser": "natural", "dtype": "float64"},
    {"net": "MADE", "lr": 0.01, "steps": 300},
    {"net": "1L", "lr": 0.01, "steps": 300},
]


@pytest.fixture
def model():
    """Sparse couplings of both signs, with fields."""
    rng = np.random.default_rng(3)
    upper = np.triu(rng.normal(size=(8, 8)) * (rng.random((8, 8)) < 0.5), 1)
    return arnn.PairwiseHamiltonian(upper + upper.T, 0.4 * rng.normal(size=8))


def check_against_enumeration(data, H):
    for beta, f, f_error, importance, importance_error in zip(
        *(data[k] for k in ("beta", "f", "f_error", "f_importance", "f_importance_error")),
        strict=True,
    ):
        true = -float(exact.log_partition(H, beta)) / (beta * H.n)
        assert abs(importance - true) < 4 * importance_error + 1e-9
        assert -4 * f_error < f - true < 0.03 * abs(true)


@pytest.mark.parametrize("options", NETS, ids=lambda options: options["net"])
@pytest.mark.parametrize(("sign", "base"), [("-", 0), ("+", 1)])
def test_a_file_of_couplings_is_trained_on(model, tmp_path, options, sign, base):
    problems.write(tmp_path / "couplings.txt", model, sign=sign, base=base)
    where = {"couplings": str(tmp_path / "couplings.txt"), "sign": sign, "base": base}
    settings = FreeEnergyRun(
        model="file", **where, **(SCHEDULE | options), output=str(tmp_path / "run")
    )
    assert settings.n == 8
    check_against_enumeration(run_free_energy(settings, progress=False).data, model)


def test_one_call_for_a_graph_leaves_nothing_behind(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = nx.Graph()
    for i, field in enumerate(model.fields.tolist()):
        graph.add_node(i, field=field)
    pairs = np.argwhere(np.triu(model.couplings)).tolist()
    graph.add_weighted_edges_from((i, j, float(model.couplings[i, j])) for i, j in pairs)
    run = free_energy_of(graph, net="SKRSB", progress=False, **SCHEDULE)
    check_against_enumeration(run.data, model)
    assert not list(tmp_path.iterdir())


def test_one_call_that_is_repeated_is_not_done_twice(model, tmp_path, monkeypatch):
    options = {"fields": model.fields, "net": "1L", "progress": False} | SCHEDULE
    first = free_energy_of(model.couplings, output=tmp_path / "run", **options)
    monkeypatch.setattr("arnn.experiments._train", None)  # calling it is a TypeError
    again = free_energy_of(model.couplings, output=tmp_path / "run", **options)
    assert again.manifest == first.manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.couplings"]
    other = model.couplings.clone()
    other[0, 1] = other[1, 0] = 0.125
    with pytest.raises(ValueError, match=r"holds another run: its couplings is '.*', not '.*'$"):
        free_energy_of(other, output=tmp_path / "run", **options)


def test_sign_base_and_place_of_the_file_do_not_make_another_run(model, tmp_path):
    found = []
    for sign, base in (("-", 0), ("+", 1)):
        path = tmp_path / f"{base}.txt"
        problems.write(path, model, sign=sign, base=base)
        settings = FreeEnergyRun(model="file", couplings=str(path), sign=sign, base=base)
        found.append(settings.parameters())
    assert found[0] == found[1]
    assert found[0]["n"] == 8


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (None, {}, r"couplings .*x\.txt cannot be read: No such file or directory$"),
        ("2 1\n0 1 strong\n", {}, r"x\.txt, line 2: 'strong' is not a number$"),
        ("2 1\n0 1 1.0\n", {"base": None}, r"base must be 0 or 1, .* not None$"),
        ("2 1\n0 1 1.0\n", {"sign": "plus"}, r"sign must be \"-\" or \"\+\", not 'plus'$"),
        ("2 1\n0 1 1.0\n", {"method": "exact", "net": "1P"}, r"needs model curie_weiss$"),
        ("2 1\n0 1 1.0\n", {"couplings": 3}, r"couplings must be the path of a file, not 3$"),
    ],
)
def test_wrong_input_is_said_before_any_work(tmp_path, text, options, message):
    if text is not None:
        (tmp_path / "x.txt").write_text(text)
    given = {"model": "file", "couplings": str(tmp_path / "x.txt"), "base": 0} | options
    with pytest.raises(ValueError, match=message):
        FreeEnergyRun(**given)


def test_a_misspelt_parameter_is_refused(model):
    with pytest.raises(ValueError, match="unknown parameter 'stesp'"):
        free_energy_of(model, stesp=3)
