"""Couplings of the reader's own: matrices, graphs, quadratic models and text files.

Whatever the source, the result is a `Problem` whose Hamiltonian has the convention of the package,
H(x) = - sum_{i<j} J_ij x_i x_j - sum_i h_i x_i with spins +-1. Many sources have the other sign,
E(x) = + sum J_ij x_i x_j + sum h_i x_i, which is said by sign="+".
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .hamiltonians import PairwiseHamiltonian

SIGNS = {"-": 1.0, "+": -1.0}


class Problem(NamedTuple):
    """A Hamiltonian, and what connects it with its source.

    The energy of the source is H(x) + offset for spins x in the order of `labels`.
    """

    H: PairwiseHamiltonian
    labels: list  # the name of each spin in the source
    offset: float = 0.0


def load(source, *, sign="-", fields=None, base=None, dtype=None):
    """A `Problem` from whatever holds couplings.

    Args:
        source: one of

            - a PairwiseHamiltonian;
            - an array (n, n) or a SciPy sparse array: symmetric, or with one triangle empty;
            - a networkx graph: the couplings are the edges' `weight` (1 without), the fields the
              nodes' `field` (0 without);
            - a dimod BinaryQuadraticModel of spins or of binary variables, whose sign is "+";
            - the path of a text file, see `read`.
        sign: "-" if the energy of the source is -sum J x x - sum h x, "+" for the opposite.
        fields: (n,), for arrays only.
        base: the index of the first spin, 0 or 1; for text files only, where it must be given.
        dtype: of the Hamiltonian; float64 if None.

    Raises:
        ValueError: the source is none of these, or holds no pairwise model; of a text file the
            sentence names the line.
        OSError: a file cannot be read.
    """
    if sign not in SIGNS:
        raise ValueError(f'sign must be "-" or "+", not {sign!r}')
    is_array = not isinstance(source, str | Path) and (
        sparse.issparse(source) or hasattr(source, "__array__") or isinstance(source, list)
    )
    if fields is not None and not is_array:
        raise ValueError("fields are given beside arrays only; other sources hold their own")
    if base is not None and not isinstance(source, str | Path):
        raise ValueError("base is given with text files only")
    options = {} if dtype is None else {"dtype": dtype}
    if isinstance(source, PairwiseHamiltonian):
        couplings, fields, labels = source.couplings, source.fields, None
        couplings, fields = (t.detach().cpu().double().numpy() for t in (couplings, fields))
        offset = 0.0
    elif isinstance(source, str | Path):
        couplings, fields, labels = read(source, base=base)
        offset = 0.0
    elif hasattr(source, "vartype") and hasattr(source, "quadratic"):
        couplings, fields, labels, offset = _from_bqm(source)
        sign = "+"
    elif hasattr(source, "adjacency") and hasattr(source, "nodes"):
        couplings, fields, labels = _from_graph(source)
        offset = 0.0
    elif is_array:
        couplings, labels, offset = _from_array(source), None, 0.0
    else:
        raise ValueError(f"couplings cannot be read from {type(source).__name__}")
    scale = SIGNS[sign]
    # Adding zero makes 0 of -0, so that the same model has the same fingerprint.
    fields = None if fields is None else scale * np.asarray(fields, dtype=float) + 0.0
    H = PairwiseHamiltonian(scale * couplings + 0.0, fields, **options)
    return Problem(H, list(range(H.n)) if labels is None else labels, offset)


def _from_array(source):
    """A symmetric matrix; one whose lower or upper triangle is empty is completed."""
    try:
        dense = source.toarray() if sparse.issparse(source) else np.asarray(source)
        dense = dense.astype(float)  # a copy
    except (TypeError, ValueError):
        raise ValueError("couplings must be an array of numbers") from None
    square = dense.ndim == 2 and dense.shape[0] == dense.shape[1]
    if square and not (np.tril(dense, -1).any() and np.triu(dense, 1).any()):
        return dense + np.triu(dense, 1).T + np.tril(dense, -1).T
    return dense


def _from_graph(graph):
    """Couplings, fields and labels of a networkx graph."""
    if graph.is_directed() or graph.is_multigraph():
        raise ValueError("the graph must be undirected, with at most one edge for each pair")
    labels = list(graph.nodes)
    place = {label: index for index, label in enumerate(labels)}
    couplings = np.zeros((len(labels), len(labels)))
    for a, b, weight in graph.edges(data="weight", default=1.0):
        if a == b:
            raise ValueError(f"node {a!r} has an edge with itself")
        value = _number(weight, f"the weight of the edge {a!r}, {b!r}")
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
    place = {label: index for index, label in enumerate(labels)}
    couplings = np.zeros((len(labels), len(labels)))
    for (a, b), value in spins.quadratic.items():
        couplings[place[a], place[b]] = couplings[place[b], place[a]] = value
    return couplings, [spins.linear[label] for label in labels], labels, float(spins.offset)


def read(path, *, base):
    """Couplings (n, n), fields (n,) and labels of a text file.

    The first line is `n m`: how many spins and how many couplings. Then come m lines `i j J`, and
    any number of lines `i h` for the fields. The indices begin at `base`. Empty lines, and what
    stands behind a #, are left out.

    Raises:
        ValueError: base is neither 0 nor 1, or a line is wrong; the sentence names file and line.
        OSError: the file cannot be read.
    """
    if base not in (0, 1) or isinstance(base, bool):
        raise ValueError(f"base must be 0 or 1, the index of the first spin, not {base!r}")
    rows = list(_rows(path))
    if not rows:
        raise ValueError(f"{path} is empty")
    (line, words), rest = rows[0], rows[1:]
    n, count = _header(path, line, words)
    couplings, fields = np.full((n, n), np.nan), np.full(n, np.nan)
    for line, words in rest:
        where = f"{path}, line {line}"
        if len(words) not in (2, 3):
            raise ValueError(f"{where}: a row is `i j J` or `i h`, not {' '.join(words)!r}")
        *places, value = words
        at = [_index(word, n, base, where) for word in places]
        value = _number(value, where)
        table = couplings if len(at) == 2 else fields
        if len(set(at)) < len(at):
            raise ValueError(f"{where}: spin {places[0]} is coupled to itself")
        if not math.isnan(table[tuple(at)]):
            raise ValueError(f"{where}: {' '.join(places)} was given before")
        table[tuple(at)] = value
        if len(at) == 2:
            table[at[1], at[0]] = value
    found = int((~np.isnan(couplings)).sum()) // 2
    if found != count:
        raise ValueError(f"{path}: the first line says {count} couplings, and there are {found}")
    return np.nan_to_num(couplings), np.nan_to_num(fields), list(range(base, n + base))


def _rows(path):
    """The lines that hold something, each with its number, cut into words."""
    try:
        text = Path(path).read_text()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file") from None
    for line, content in enumerate(text.splitlines(), start=1):
        if words := content.split("#")[0].split():
            yield line, words


def _header(path, line, words):
    """The number of spins and of couplings."""
    try:
        n, count = map(int, words)
        if n < 1 or count < 0:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{path}, line {line}: the first line is `n m`, the numbers of spins and of couplings, "
            f"not {' '.join(words)!r}"
        ) from None
    return n, count


def _index(word, n, base, where):
    """A spin's place, from 0."""
    try:
        place = int(word) - base
    except ValueError:
        raise ValueError(f"{where}: {word!r} is not the index of a spin") from None
    if not 0 <= place < n:
        raise ValueError(f"{where}: there is no spin {word}; they go from {base} to {n - 1 + base}")
    return place


def _number(value, where):
    """A finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: {value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{where}: {value!r} is not finite")
    return number


def write(path, H, *, sign="-", base=0):
    """Write a Hamiltonian as the text file that `read` reads, numbers to the last bit.

    Raises:
        ValueError: sign or base is none of the two.
    """
    if sign not in SIGNS:
        raise ValueError(f'sign must be "-" or "+", not {sign!r}')
    if base not in (0, 1) or isinstance(base, bool):
        raise ValueError(f"base must be 0 or 1, the index of the first spin, not {base!r}")
    scale = SIGNS[sign]
    couplings = scale * H.couplings.detach().cpu().double().numpy()
    fields = scale * H.fields.detach().cpu().double().numpy()
    pairs = np.argwhere(np.triu(couplings, 1))
    lines = [f"{H.n} {len(pairs)}"]
    lines += [f"{i + base} {j + base} {float(couplings[i, j])!r}" for i, j in pairs]
    lines += [f"{i + base} {float(fields[i])!r}" for i in np.flatnonzero(fields)]
    Path(path).write_text("\n".join(lines) + "\n")
