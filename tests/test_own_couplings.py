"""Training on couplings of one's own, from a file or in one call."""

import shutil

import networkx as nx
import numpy as np
import pytest
import torch

import arnn
from arnn import estimators, exact, problems
from arnn.experiments import FreeEnergyRun, free_energy_of, run_free_energy, trained_net
from arnn.nets import SKRSB

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


@pytest.mark.parametrize("options", NETS, ids=lambda options: options["net"])
def test_the_net_can_be_had_and_gives_the_magnetisations(model, options):
    source = {"fields": -model.fields, "sign": "+"}
    kept = {"keep_net": True, "progress": False} | SCHEDULE | options
    run = free_energy_of(-model.couplings, **source, **kept)
    net = trained_net(run, -model.couplings, **source)
    draw = torch.Generator().manual_seed(1)
    found = estimators.reweighted(net, model.to(dtype=net.dtype), 1.0, 40_000, generator=draw)
    true = exact.thermodynamics(model, 1.0).magnetisations
    assert ((found.magnetisation - true) / found.magnetisation_error).abs().max() < 4.5
    assert found.effective_samples > 0.9 * found.samples


def test_the_net_of_a_run_is_not_taken_for_that_of_other_couplings(model, tmp_path):
    own = {"net": "SKRSB", "progress": False, "keep_net": True} | SCHEDULE | {"steps": 1}
    run = free_energy_of(model, **own)
    for other in (model.couplings, -model.couplings):  # both without the fields
        with pytest.raises(ValueError, match="the run is one of other couplings or fields"):
            trained_net(run, other)
    with pytest.raises(ValueError, match="a run of model file needs its couplings"):
        trained_net(run)
    settings = FreeEnergyRun(
        n=8, keep_net=True, **(SCHEDULE | {"steps": 1}), output=str(tmp_path / "run")
    )
    with pytest.raises(ValueError, match="model curie_weiss has no couplings of your own"):
        trained_net(run_free_energy(settings, progress=False), model)


def test_one_call_that_is_repeated_is_not_done_twice(model, tmp_path, monkeypatch):
    options = {"fields": model.fields, "net": "1L", "progress": False} | SCHEDULE
    first = free_energy_of(model.couplings, output=tmp_path / "run", **options)
    monkeypatch.setattr("arnn.records._train", None)  # calling it is a TypeError
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
        path.write_text("what the file holds later is another run")
        found.append(settings.parameters())
        assert torch.equal(settings.make_hamiltonian().couplings, model.couplings.float())
    assert found[0] == found[1]
    assert found[0]["n"] == 8


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (None, {}, r"couplings .*x\.txt cannot be read: No such file or directory$"),
        ("2 1\n0 1 strong\n", {}, r"x\.txt, line 2: 'strong' is not a number$"),
        ("2 1\n0 1 1.0\n", {"base": None}, r"base must be 0 or 1, .* not None$"),
        ("2 1\n0 1 1.0\n", {"sign": "plus"}, r"sign must be \"-\" or \"\+\", .*, not 'plus'$"),
        ("2 1\n0 1 1.0\n", {"sign": None}, r"sign must be \"-\" or \"\+\", .*, not None$"),
        ("2 1\n0 1 1.0\n", {"field": 0.3}, r"field goes with model \"curie_weiss\", not 'file'$"),
        ("2 1\n0 1 1.0\n", {"k": 1}, r"k goes with net \"SKRSB\", not 'MADE'$"),
        ("2 1\n0 1 1.0\n", {"method": "exact", "net": "1P"}, r"needs model curie_weiss$"),
        ("2 1\n0 1 1.0\n", {"couplings": 3}, r"couplings must be the path of a file, not 3$"),
    ],
)
def test_wrong_input_is_said_before_any_work(tmp_path, text, options, message):
    if text is not None:
        (tmp_path / "x.txt").write_text(text)
    given = {"model": "file", "couplings": str(tmp_path / "x.txt"), "base": 0, "sign": "-"}
    given |= options
    with pytest.raises(ValueError, match=message):
        FreeEnergyRun(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stesp": np.int64(3)}, r"^unknown parameter 'stesp'; the parameters are base, "),
        ({"_k": 1}, r"^unknown parameter '_k'"),
        ({"net": SKRSB}, r"^net must be one of .*SKRSB.*, not <class"),
        ({"net": "SK_RS"}, r"^net must be one of .*, not 'SK_RS'$"),
        ({"steps": np.float64(2.5)}, r"^steps must be an integer of at least 1, not 2\.5$"),
        ({"field": 0.3}, r"^field is that of the Curie-Weiss model; give `fields`"),
        ({"coupling": 2.0}, r"^coupling goes with model \"curie_weiss\", not 'file'$"),
        ({"instance": 5}, r"^instance goes with model \"sherrington_kirkpatrick\", not 'file'$"),
        ({"n": 7}, r"^n is not given here, since the source says it$"),
        ({"model": "curie_weiss"}, r"^model is not given here"),
        ({"net": "1L", "depth": 9}, r'^depth goes with net "MADE" or "Cavity", not \'1L\'$'),
        ({"refresh": 5}, r"^refresh goes with optimiser \"natural\", not 'adam'$"),
        ({"net": "MADE", "optimiser": "natural"}, r'^optimiser "natural" trains .*, not MADE$'),
        ({"beta_end": 0.1, "beta_start": 0.2}, r"^beta_end must be at least beta_start"),
        ({"output": ""}, r"^output must be a folder's name, not ''$"),
        ({"output": "."}, r"^output must be a folder's name, not '\.'$"),
        ({"output": 5}, r"^output must be a folder's name, not 5$"),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_nothing(model, tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        free_energy_of(model, **({"output": "run"} | given))
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_and_pytorch_are_taken_as_numbers(model):
    options = {"net": "1L", "progress": False} | SCHEDULE
    plain = free_energy_of(model, overlap_betas=[1.0], lr=0.5, **options)
    options |= {"steps": np.int64(40), "beta_end": torch.tensor(1.0, dtype=torch.float64)}
    found = free_energy_of(model, overlap_betas=np.array([1.0]), lr=np.float32(0.5), **options)
    assert found.manifest["parameters"] == plain.manifest["parameters"]
    assert found.manifest["sha256"] == plain.manifest["sha256"]


def test_couplings_that_lie_beside_the_output_are_not_replaced(model, tmp_path, monkeypatch):
    """Neither a file of the reader's, nor the source itself, nor those of a finished result."""
    monkeypatch.chdir(tmp_path)
    options = {"net": "1L", "progress": False, "steps": 2} | {k: SCHEDULE[k] for k in ("batch",)}
    options |= {"beta_start": 1.0, "beta_end": 1.0, "samples": 40}
    (tmp_path / "mine.couplings").write_text("my notes\n")
    problems.write("system.couplings", model, sign="+", base=1)
    source = (tmp_path / "system.couplings").read_bytes()
    for name, given in (("mine", {}), ("system", {"sign": "+", "base": 1})):
        couplings = f"{name}.couplings" if given else model
        with pytest.raises(ValueError, match=rf"^{name}\.couplings is there and holds something"):
            free_energy_of(couplings, output=name, **given, **options)
    assert (tmp_path / "mine.couplings").read_text() == "my notes\n"
    assert (tmp_path / "system.couplings").read_bytes() == source
    free_energy_of(model, output="run", **options)
    kept = (tmp_path / "run.couplings").read_bytes()
    with pytest.raises(ValueError, match="holds another run: its couplings is"):
        free_energy_of(2 * model.couplings, output="run", fields=model.fields, **options)
    assert (tmp_path / "run.couplings").read_bytes() == kept
    # The kept file is a source like any other, and may be that of a repetition.
    shutil.rmtree(tmp_path / "run")
    free_energy_of("run.couplings", output="run", sign="-", base=0, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine.couplings",
        "run",
        "run.couplings",
        "system.couplings",
    ]
