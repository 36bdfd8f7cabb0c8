"""Couplings of the reader's own: matrices, graphs, quadratic models and text files.

Whatever the source, the result is a `Problem` whose Hamiltonian has the convention of the package,
H(x) = - sum_{i<j} J_ij x_i x_j - sum_i h_i x_i with spins +-1. Many sources have the other sign,
E(x) = + sum J_ij x_i x_j + sum h_i x_i, which is said by sign="+".
"""

import math
import re
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from . import checkpoints
from .hamiltonians import PairwiseHamiltonian

SIGNS = {"-": 1.0, "+": -1.0}
MOST_SPINS = 20_000  # the couplings are a dense matrix, 3.2 GB then
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Problem(NamedTuple):
    """A Hamiltonian, and what connects it with its source.

    The energy of the source is H(x) + offset for spins x in the order of `labels`.
    """

    H: PairwiseHamiltonian
    labels: list  # the name of each spin in the source
    offset: float = 0.0


def load(source, *, sign=None, fields=None, base=None, dtype=None):
    """A `Problem` from whatever holds couplings.

    Args:
        source: one of

            - a PairwiseHamiltonian;
            - an array (n, n), as lists or of NumPy, SciPy (sparse) or PyTorch: symmetric, or with
              one triangle empty; duplicates in a sparse array are summed, as SciPy does;
            - a networkx graph: the couplings are the edges' `weight` (1 if no edge has one), the
              fields the nodes' `field` (0 without);
            - a dimod BinaryQuadraticModel of spins or of binary variables;
            - the path of a text file, see `read`.
        sign: "-" if the energy of the source is -sum J x x - sum h x, "+" for the opposite. A text
            file does not say which, so that it must be given; a dimod model has "+"; for all
            others None is "-".
        fields: (n,), in the unit of the couplings; for arrays only.
        base: the index of the first spin, 0 or 1; for text files only, where it must be given.
        dtype: of the Hamiltonian, torch.float32 or torch.float64; float64 if None.

    Raises:
        ValueError: the source is none of these, cannot be read, or holds no pairwise model; of a
            text file the sentence names the line.
    """
    if dtype not in (None, torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, not {dtype!r}")
    is_file = isinstance(source, str | Path)
    is_array = not is_file and (
        sparse.issparse(source) or hasattr(source, "__array__") or isinstance(source, list)
    )
    if fields is not None and not is_array:
        raise ValueError("fields are given beside arrays only; other sources hold their own")
    if base is not None and not is_file:
        raise ValueError("base is given with text files only")
    labels, offset, own_sign = None, 0.0, None if is_file else "-"
    if isinstance(source, PairwiseHamiltonian):
        couplings, fields = _real("couplings", source.couplings), _real("fields", source.fields)
    elif is_file:
        _require_sign(sign)  # before the file is read
        couplings, fields, labels = read(source, base=base)
    elif hasattr(source, "quadratic") and isinstance(getattr(source, "vartype", None), Enum):
        couplings, fields, labels, offset = _from_bqm(source)
        own_sign = "+"
        if sign == "-":
            raise ValueError('the sign of a dimod model is "+"; leave it out')
    elif hasattr(source, "adjacency") and hasattr(source, "nodes"):
        couplings, fields, labels = _from_graph(source)
    elif is_array:
        couplings = _from_array(source)
        fields = None if fields is None else _real("fields", fields)
    else:
        raise ValueError(f"couplings cannot be read from {type(source).__name__}")
    scale = SIGNS[_require_sign(own_sign if sign is None else sign)]
    # Adding zero makes 0 of -0, so that the same model has the same fingerprint.
    fields = None if fields is None else scale * np.asarray(fields) + 0.0
    H = PairwiseHamiltonian(scale * couplings + 0.0, fields, dtype=dtype or torch.float64)
    return Problem(H, list(range(H.n)) if labels is None else labels, offset)


def _require_sign(sign):
    if not isinstance(sign, str) or sign not in SIGNS:
        raise ValueError(f'sign must be "-" or "+", the sign of J in the energy, not {sign!r}')
    return sign


def _require_base(base):
    if isinstance(base, bool) or not isinstance(base, int | np.integer) or base not in (0, 1):
        raise ValueError(f"base must be 0 or 1, the index of the first spin, not {base!r}")
    return int(base)


def _require_size(n, where="the source"):
    """Raise a ValueError if the matrix of the couplings of n spins is too large to be made."""
    if n > MOST_SPINS:
        raise ValueError(
            f"{where}: the couplings of {n} spins would be a matrix of {8e-9 * n * n:.0f} GB; "
            f"{MOST_SPINS} spins are the most"
        )


def _real(name, values):
    """Real numbers as a NumPy array, float64, a copy."""
    if torch.is_tensor(values):
        values = values.detach().to_dense().cpu()
        values = (values if values.is_complex() else values.double()).numpy()
    if np.ma.isMaskedArray(values):
        raise ValueError(f"{name} must not be masked; fill what is masked first")
    try:
        array = np.asarray(values)
        real = None if np.iscomplexobj(array) else array.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers") from None
    if real is None:
        raise ValueError(f"{name} must be real, not complex")
    return real


def _from_array(source):
    """A symmetric matrix; one whose lower or upper triangle is empty is completed."""
    _require_size(max(getattr(source, "shape", ()), default=0))
    dense = _real("couplings", source.toarray() if sparse.issparse(source) else source)
    square = dense.ndim == 2 and dense.shape[0] == dense.shape[1]
    if square and not (np.tril(dense, -1).any() and np.triu(dense, 1).any()):
        return dense + np.triu(dense, 1).T + np.tril(dense, -1).T
    return dense


def _from_graph(graph):
    """Couplings, fields and labels of a networkx graph."""
    if graph.is_directed() or graph.is_multigraph():
        raise ValueError("the graph must be undirected, with at most one edge for each pair")
    labels = list(graph.nodes)
    _require_size(len(labels))
    place = {label: index for index, label in enumerate(labels)}
    couplings = np.zeros((len(labels), len(labels)))
    plain = not any(attributes for *_, attributes in graph.edges(data=True))
    for a, b, attributes in graph.edges(data=True):
        if a == b:
            raise ValueError(f"node {a!r} has an edge with itself")
        if not plain and "weight" not in attributes:
            raise ValueError(
                f"the edge {a!r}, {b!r} has no `weight`; either all edges have one, or none has "
                "any attribute and all couplings are 1"
            )
        value = _number(attributes.get("weight", 1.0), f"the weight of the edge {a!r}, {b!r}")
        couplings[place[a], place[b]] = couplings[place[b], place[a]] = value
    fields = [
        _number(value, f"the field of node {label!r}")
        for label, value in graph.nodes(data="field", default=0.0)
    ]
    return couplings, fields, labels


def _from_bqm(bqm):
    """Couplings, fields, labels and offset of a dimod BinaryQuadraticModel, as spins."""
    spins = bqm.change_vartype("SPIN", inplace=False)
    labels = list(spins.variables)
    _require_size(len(labels))
    place = {label: index for index, label in enumerate(labels)}
    couplings = np.zeros((len(labels), len(labels)))
    for (a, b), value in spins.quadratic.items():
        couplings[place[a], place[b]] = couplings[place[b], place[a]] = value
    offset = _number(spins.offset, "the offset")
    return couplings, [spins.linear[label] for label in labels], labels, offset


def read(path, *, base):
    """Couplings (n, n), fields (n,) and labels of a text file.

    The first line is `n m`: how many spins and how many couplings. Then come m lines `i j J`, and
    any number of lines `i h` for the fields, which do not count in m. The indices begin at `base`.
    Empty lines, and what stands behind a #, are left out. The text is UTF-8.

    Raises:
        ValueError: base is neither 0 nor 1, the file cannot be read, or a line is wrong; the
            sentence names file and line.
    """
    base, rows = _require_base(base), list(_rows(path))
    if not rows:
        raise ValueError(f"{path} is empty")
    (line, words), rest = rows[0], rows[1:]
    header = f"{path}, line {line}"
    n, count = _header(header, words)
    given = {}  # the number of each pair of places, or of a single one
    for line, words in rest:
        where = f"{path}, line {line}"
        if len(words) not in (2, 3):
            raise ValueError(f"{where}: a row is `i j J` or `i h`, not {_short(' '.join(words))}")
        *places, value = words
        at = tuple(sorted(_index(word, n, base, where) for word in places))
        if len(set(at)) < len(at):
            raise ValueError(f"{where}: spin {places[0]} is coupled to itself")
        if at in given:
            raise ValueError(f"{where}: {' '.join(places)} was given before")
        given[at] = _number(value, where)
    found = sum(len(at) == 2 for at in given)
    if found != count:
        raise ValueError(
            f"{header}: it says {count} couplings, and there are {found}; rows `i h` do not count"
        )
    couplings, fields = np.zeros((n, n)), np.zeros(n)
    for at, value in given.items():
        table = couplings if len(at) == 2 else fields
        table[at] = value
    return couplings + couplings.T, fields, list(range(base, n + base))


def _rows(path):
    """The lines that hold something, each with its number, cut into words."""
    try:
        content = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")  # a byte order mark
    except OSError as error:
        raise ValueError(f"couplings {path} cannot be read: {error.strerror}") from None
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line, row in enumerate(lines, start=1):
        try:
            text = row.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{path}, line {line}: this is no text in UTF-8") from None
        if words := text.split("#")[0].split():
            yield line, words


def _short(text):
    """What was found, for a sentence."""
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _header(where, words):
    """The number of spins and of couplings."""
    if (
        len(words) != 2
        or not all(re.fullmatch("[0-9]{1,18}", w) for w in words)
        or not int(words[0])
    ):
        raise ValueError(
            f"{where}: the first line is `n m`, the numbers of spins and of couplings, "
            f"not {_short(' '.join(words))}"
        )
    n, count = map(int, words)
    _require_size(n, where)
    return n, count


def _index(word, n, base, where):
    """A spin's place, from 0."""
    if not re.fullmatch("[+-]?[0-9]{1,18}", word):
        raise ValueError(f"{where}: {_short(word)} is not the index of a spin")
    place = int(word) - base
    if not 0 <= place < n:
        raise ValueError(f"{where}: there is no spin {word}; they go from {base} to {n - 1 + base}")
    return place


def _number(value, where):
    """A finite float."""
    said = _short(value) if isinstance(value, str) else repr(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: {said} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{where}: {said} is not finite")
    if isinstance(value, str) and not NUMBER.fullmatch(value):  # float() takes 1_0 and more
        raise ValueError(f"{where}: {said} is not a number")
    return number


def write(path, H, *, sign="-", base=0):
    """Write a Hamiltonian as the text file that `read` reads, numbers to the last bit.

    The file is replaced in one step.

    Raises:
        ValueError: sign or base is none of the two, or the file cannot be written.
    """
    base, scale = _require_base(base), SIGNS[_require_sign(sign)]
    couplings = scale * H.couplings.detach().cpu().double().numpy()
    fields = scale * H.fields.detach().cpu().double().numpy()
    pairs = np.argwhere(np.triu(couplings, 1))
    lines = [f"{H.n} {len(pairs)}"]
    lines += [f"{i + base} {j + base} {float(couplings[i, j])!r}" for i, j in pairs]
    lines += [f"{i + base} {float(fields[i])!r}" for i in np.flatnonzero(fields)]
    checkpoints.write_whole(Path(path), ("\n".join(lines) + "\n").encode())
