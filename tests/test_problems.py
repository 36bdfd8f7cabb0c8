"""Couplings from every source give the same energies, and what is wrong is said with its place."""

import errno
import os

import dimod
import networkx as nx
import numpy as np
import pytest
import torch
from scipy import sparse

import arnn
from arnn import exact, problems

N = 7


def model(seed=0, density=0.6):
    """A sparse model with fields, some of them zero."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(N, N)) * (rng.random((N, N)) < density), 1)
    fields = rng.normal(size=N) * (rng.random(N) < 0.7)
    return arnn.PairwiseHamiltonian(upper + upper.T, fields)


def numbers(H):
    return H.couplings.numpy(), H.fields.numpy()


def as_graph(H):
    graph = nx.Graph()
    J, h = numbers(H)
    for i in range(N):
        graph.add_node(f"spin {i}", field=h[i])
    graph.add_weighted_edges_from(
        (f"spin {i}", f"spin {j}", J[i, j]) for i, j in np.argwhere(np.triu(J))
    )
    return graph


def as_bqm(H):
    J, h = numbers(H)
    quadratic = {(i, j): -J[i, j] for i, j in np.argwhere(np.triu(J)).tolist()}
    return dimod.BinaryQuadraticModel(dict(enumerate(-h)), quadratic, 0.25, "SPIN")


def loaded(H, source, tmp_path):
    """The model by way of a source."""
    J, h = numbers(H)
    if source == "array":
        return problems.load(J, fields=h)
    if source == "list":
        return problems.load(J.tolist(), fields=h.tolist())
    if source == "tensor":
        return problems.load(H.couplings, fields=H.fields)
    if source == "sparse":
        return problems.load(sparse.csr_array(J), fields=h)
    if source == "upper triangle":
        return problems.load(sparse.coo_array(np.triu(J)), fields=h)
    if source == "lower triangle":
        return problems.load(np.tril(J), fields=h)
    if source == "opposite sign":
        return problems.load(-J, fields=-h, sign="+")
    if source == "graph":
        return problems.load(as_graph(H))
    if source == "bqm of spins":
        return problems.load(as_bqm(H))
    if source == "bqm of bits":
        return problems.load(as_bqm(H).change_vartype("BINARY", inplace=False))
    sign, base = source.removeprefix("file ")
    problems.write(tmp_path / "couplings.txt", H, sign=sign, base=int(base))
    return problems.load(tmp_path / "couplings.txt", sign=sign, base=int(base))


SOURCES = ["array", "list", "tensor", "sparse", "upper triangle", "lower triangle", "opposite sign"]
SOURCES += ["graph", "bqm of spins", "bqm of bits", "file -0", "file -1", "file +0", "file +1"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", range(3))
def test_every_source_gives_the_same_energies(source, seed, tmp_path):
    H = model(seed)
    found = loaded(H, source, tmp_path)
    x = exact.configurations(N)
    order, constant = list(range(N)), 0.0
    if source.startswith("bqm"):  # dimod has an order of its own
        order, constant = found.labels, 0.25
    energy = found.H.energy(x[:, order]) + found.offset
    torch.testing.assert_close(energy, H.energy(x) + constant, rtol=0, atol=1e-12)
    if source.startswith("file"):
        assert torch.equal(found.H.couplings, H.couplings), "a file keeps every digit"
        assert torch.equal(found.H.fields, H.fields)


def test_the_energies_are_those_that_the_source_itself_says():
    H = model(5)
    bqm = as_bqm(H).change_vartype("BINARY", inplace=False)
    found = problems.load(bqm)
    x = exact.configurations(N)[::11]
    bits = [
        {label: int(spin > 0) for label, spin in zip(found.labels, row, strict=True)}
        for row in x.tolist()
    ]
    said = [bqm.energy(sample) for sample in bits]
    assert (found.H.energy(x) + found.offset).tolist() == pytest.approx(said, abs=1e-12)


def test_labels_keep_the_order_of_the_source(tmp_path):
    graph = nx.Graph([("b", "a"), ("a", "c")])
    found = problems.load(graph)
    assert found.labels == ["b", "a", "c"]
    assert found.H.couplings.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    problems.write(tmp_path / "x", found.H, base=1)
    assert problems.load(tmp_path / "x", sign="-", base=1).labels == [1, 2, 3]


def test_comments_and_empty_lines_are_left_out(tmp_path):
    text = "# two spins\n\n2 1  # n, m\n0 1 -0.5\n1 2.0 # a field\n"
    (tmp_path / "x").write_text(text)
    H = problems.load(tmp_path / "x", sign="-", base=0).H
    assert H.couplings.tolist() == [[0, -0.5], [-0.5, 0]]
    assert H.fields.tolist() == [0, 2]


def test_tensors_are_taken_whatever_hangs_on_them():
    values = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
    kinds = (values.clone().requires_grad_(), values.to(torch.bfloat16), values.to_sparse())
    for kind in kinds:
        H = problems.load(kind, fields=torch.ones(2, requires_grad=True)).H
        assert H.couplings.tolist() == values.tolist()
        assert H.fields.tolist() == [1, 1]


def test_rounding_that_breaks_the_symmetry_is_told_from_a_wrong_matrix():
    matrix = np.array([[0, 1 / 3], [1 / 3 + 1e-16, 0]])
    with pytest.raises(ValueError, match=r"J\[0, 1\] = 0\.3333333333333333 .* take \(J \+ J\.T\)"):
        problems.load(matrix)
    with pytest.raises(ValueError, match=r"J\[1, 0\] = 2\.0$"):
        problems.load(np.array([[0, 1.0], [2.0, 0]]))


def test_the_type_is_the_one_asked_for():
    assert problems.load(np.zeros((3, 3)), dtype=torch.float32).H.dtype == torch.float32
    assert problems.load(np.zeros((3, 3))).H.dtype == torch.float64


WRONG_FILES = [
    ("", r"x is empty$"),
    ("# nothing\n", r"x is empty$"),
    ("3\n0 1 1.0\n", r"x, line 1: the first line is `n m`, .* not '3'$"),
    ("three 1\n0 1 1.0\n", r"x, line 1: the first line is `n m`"),
    ("0 1 0.5\n0 2 0.5\n", r"x, line 1: the first line is `n m`, .* not '0 1 0\.5'$"),
    ("0 0\n", r"x, line 1: the first line is `n m`"),
    ("3 2\n0 1 1.0\n\n0 1 2.0\n", r"x, line 4: 0 1 was given before$"),
    ("3 2\n0 1 1.0\n1 0 1.0\n", r"x, line 3: 1 0 was given before$"),
    ("3 0\n1 0.5\n1 0.5\n", r"x, line 3: 1 was given before$"),
    ("3 1\n2 2 1.0\n", r"x, line 2: spin 2 is coupled to itself$"),
    ("3 1\n0 3 1.0\n", r"x, line 2: there is no spin 3; they go from 0 to 2$"),
    ("3 1\n-1 2 1.0\n", r"x, line 2: there is no spin -1; they go from 0 to 2$"),
    ("3 1\n0 one 1.0\n", r"x, line 2: 'one' is not the index of a spin$"),
    ("3 1\n0 1.5 1.0\n", r"x, line 2: '1\.5' is not the index of a spin$"),
    ("3 1\n0 1 strong\n", r"x, line 2: 'strong' is not a number$"),
    ("3 1\n0 1 nan\n", r"x, line 2: 'nan' is not finite$"),
    ("3 1\n0 1 1.0 2.0\n", r"x, line 2: a row is `i j J` or `i h`, not '0 1 1\.0 2\.0'$"),
    (
        "3 2\n0 1 1.0\n",
        r"x, line 1: it says 2 couplings, and there are 1; rows `i h` do not count$",
    ),
    ("3 2\n0 1 1.0\n2 0.5\n", r"x, line 1: it says 2 couplings, and there are 1"),
    ("3 1\n0 1 1_0\n", r"x, line 2: '1_0' is not a number$"),
    ("3 1\n0 1_0 1.0\n", r"x, line 2: '1_0' is not the index of a spin$"),
    ("1_0 1\n0 1 1.0\n", r"x, line 1: the first line is `n m`"),
    ("3 1\n0 1 \uff11\n", r"x, line 2: '\uff11' is not a number$"),
    ("3 1\n0 1 " + 60 * "9x" + "\n", r"x, line 2: '(9x){20}\.\.\.' is not a number$"),
    ("100000 1\n0 1 1.0\n", r"x, line 1: the couplings of 100000 spins would be a matrix of 80 GB"),
    ("9" * 400 + " 1\n0 1 1.0\n", r"x, line 1: the first line is `n m`"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_FILES)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "x").write_text(text)
    with pytest.raises(ValueError, match=message):
        problems.load(tmp_path / "x", sign="-", base=0)


def test_with_base_one_the_first_spin_is_one(tmp_path):
    (tmp_path / "x").write_text("2 1\n0 1 1.0\n")
    with pytest.raises(ValueError, match="line 2: there is no spin 0; they go from 1 to 2"):
        problems.load(tmp_path / "x", sign="-", base=1)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"2 1  # caf\xc3\xa9\n0 1 1.0  # caf\xe9\n")
    with pytest.raises(ValueError, match=r"x, line 2: this is no text in UTF-8$"):
        problems.load(tmp_path / "x", sign="-", base=0)
    for name, reason in (("missing", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(ValueError, match=rf"cannot be read: {reason}$"):
            problems.load(tmp_path / name, sign="-", base=0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_the_mark_of_other_systems_are_taken(tmp_path, end, mark):
    text = f"{mark}2 1{end}{end}0\t1 +.5e0 {end}"
    (tmp_path / "x").write_bytes(text.encode())
    H = problems.load(tmp_path / "x", sign="-", base=0).H
    assert H.couplings.tolist() == [[0, 0.5], [0.5, 0]]


def test_a_file_that_cannot_be_written_is_said_and_the_old_one_stays(tmp_path, monkeypatch):
    H = model()
    with pytest.raises(ValueError, match=r"x cannot be written: No such file or directory$"):
        problems.write(tmp_path / "folder" / "x", H)
    problems.write(tmp_path / "x", H)
    old = (tmp_path / "x").read_bytes()
    with pytest.raises(ValueError, match=r"base must be 0 or 1"):
        problems.write(tmp_path / "x", model(1), base=0.0)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"x cannot be written: No space left on device$"):
        problems.write(tmp_path / "x", model(1))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == old


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (np.zeros((2, 2)), {"sign": "x"}, 'sign must be "-" or "\\+", the sign of .*, not \'x\''),
        ("couplings.txt", {"base": 0}, 'sign must be "-" or "\\+", the sign of .*, not None'),
        (as_bqm(model()), {"sign": "-"}, 'the sign of a dimod model is "\\+"; leave it out'),
        (dimod.QuadraticModel(), {}, "couplings cannot be read from QuadraticModel"),
        (np.array([[0, 1j], [1j, 0]]), {}, "couplings must be real, not complex"),
        (np.ma.masked_equal([[0.0, 2.0], [2.0, 0.0]], 2), {}, "couplings must not be masked"),
        (np.zeros((2, 2)), {"fields": {0: 1.0}}, "fields must be an array of numbers"),
        (np.zeros((2, 2)), {"fields": ["a", "b"]}, "fields must be an array of numbers"),
        (np.zeros((2, 2)), {"dtype": torch.int64}, "dtype must be torch.float32 or torch.float64"),
        (sparse.coo_array((30_000, 30_000)), {}, "30000 spins would be a matrix of 7 GB"),
        (nx.Graph([(0, 1, {"weight": 2.0}), (1, 2)]), {}, "the edge 1, 2 has no `weight`"),
        (nx.Graph([(0, 1, {"J": 2.0})]), {}, "the edge 0, 1 has no `weight`"),
        (np.zeros((2, 3)), {}, "couplings must be a square matrix"),
        ([[0, "a"], ["a", 0]], {}, "couplings must be an array of numbers"),
        (np.eye(3), {}, "couplings must have a zero diagonal"),
        (np.array([[0, 1.0], [2.0, 0]]), {}, "couplings must be symmetric"),
        (np.zeros((2, 2)), {"base": 1}, "base is given with text files only"),
        ("x.txt", {"sign": "-"}, "base must be 0 or 1, the index of the first spin, not None"),
        ("x.txt", {"sign": "-", "base": True}, "base must be 0 or 1"),
        ("x.txt", {"sign": "-", "base": 1.0}, "base must be 0 or 1"),
        (nx.Graph([(0, 1)]), {"fields": [1, 1]}, "fields are given beside arrays only"),
        (nx.DiGraph([(0, 1)]), {}, "the graph must be undirected"),
        (nx.MultiGraph([(0, 1)]), {}, "the graph must be undirected"),
        (nx.Graph([(0, 0)]), {}, "node 0 has an edge with itself"),
        (
            nx.Graph([(0, 1, {"weight": "x"})]),
            {},
            "the weight of the edge 0, 1: 'x' is not a number",
        ),
        (3.0, {}, "couplings cannot be read from float"),
    ],
)
def test_a_wrong_source_is_refused(source, options, message):
    with pytest.raises(ValueError, match=message):
        problems.load(source, **options)
