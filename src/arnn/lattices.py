"""Models on lattices and other sparse graphs, and their exact partition functions.

The transfer matrix adds one spin at a time. A spin that has been summed over is remembered only by
its neighbours, so that the sum over all 2^n configurations needs tables of 2^w numbers, where w is
the largest number of spins that separate the spins before i from those after it: the `boundaries`.
On a square lattice of L columns, numbered row by row, w = L if its ends are open.
"""

import numpy as np

from .hamiltonians import PairwiseHamiltonian, as_count, as_positive

MAX_BOUNDARY = 22  # the 2^22 numbers of one table are 32 MiB in float64


def square_lattice(horizontal, vertical, fields=None, *, dtype=None, device=None):
    """Spins on a square lattice with couplings between nearest neighbours.

    Sites are numbered row by row. A table of couplings with one entry more than an open lattice
    has closes it: the last entry couples the last site of a row, or column, to its first.

    Args:
        horizontal: (rows, columns - 1), or (rows, columns) if rows are closed: entry (r, c) couples
            the sites (r, c) and (r, c + 1).
        vertical: (rows - 1, columns), or (rows, columns) if columns are closed: entry (r, c)
            couples (r, c) and (r + 1, c).
        fields: (rows, columns), or None for no field.
        dtype, device: of the Hamiltonian; float64 on the CPU if None.

    Raises:
        ValueError: the tables do not fit each other, or a closed row or column has fewer than three
            sites.
    """
    horizontal, vertical = (np.asarray(t, dtype=float) for t in (horizontal, vertical))
    if horizontal.ndim != 2 or vertical.ndim != 2:
        raise ValueError("horizontal and vertical must be tables of rows and columns")
    rows, columns = len(horizontal), vertical.shape[1]
    closed = (len(vertical) == rows, horizontal.shape[1] == columns)
    shapes = ((rows, columns - (not closed[1])), (rows - (not closed[0]), columns))
    if (horizontal.shape, vertical.shape) != shapes or 0 in (rows, columns):
        raise ValueError(
            f"horizontal {horizontal.shape} and vertical {vertical.shape} fit no lattice: they are "
            "(rows, columns - 1) and (rows - 1, columns), one more where the ends are joined"
        )
    for is_closed, length, name in zip(closed, (rows, columns), ("column", "row"), strict=True):
        if is_closed and length < 3:
            raise ValueError(f"a closed {name} has at least 3 sites, not {length}")
    site = np.arange(rows * columns).reshape(rows, columns)
    couplings = np.zeros((rows * columns, rows * columns))
    for table, axis in ((horizontal, 1), (vertical, 0)):
        here, there = site, np.roll(site, -1, axis)
        here, there = (s[: table.shape[0], : table.shape[1]] for s in (here, there))
        couplings[here, there] = couplings[there, here] = table
    if fields is not None:
        fields = np.asarray(fields, dtype=float)
        if fields.shape != (rows, columns):
            raise ValueError(f"fields must have shape {(rows, columns)}, not {fields.shape}")
        fields = fields.ravel()
    options = {} if dtype is None else {"dtype": dtype}
    return PairwiseHamiltonian(couplings, fields, device=device, **options)


def edwards_anderson(rows, columns, seed, *, closed=False, field=0.0, dtype=None, device=None):
    """The two-dimensional +-J model: couplings +1 or -1 with equal probability.

    Edwards and Anderson (1975) took normal couplings; those of one size are due to Toulouse (1977).

    Args:
        rows, columns: of the lattice.
        seed: of the couplings.
        closed: join the ends of rows and columns, which makes a torus.
        field: the same on every site.
        dtype, device: of the Hamiltonian; float64 on the CPU if None.

    Raises:
        ValueError: rows, columns or seed is no count, or a closed lattice has fewer than three.
    """
    rows, columns = as_count("rows", rows), as_count("columns", columns)
    rng = np.random.default_rng(as_count("seed", seed, at_least=0))
    horizontal = rng.choice([-1.0, 1.0], (rows, columns if closed else columns - 1))
    vertical = rng.choice([-1.0, 1.0], (rows if closed else rows - 1, columns))
    fields = np.full((rows, columns), float(field))
    return square_lattice(horizontal, vertical, fields, dtype=dtype, device=device)


def boundaries(H):
    """For each place i = 0 ... n, the spins before i that are coupled to spin i or a later one.

    All that the spins from i on see of the past is these: the conditional of spin i is a function
    of the spins of boundary i alone (Paper Eq. (5)). Spins and places are counted from 0.

    Args:
        H: a PairwiseHamiltonian with couplings (n, n).

    Returns:
        A list of n + 1 ascending lists; the first and the last one are empty.
    """
    couplings = H.couplings.cpu().numpy()
    last = [max(np.flatnonzero(row), default=-1) for row in couplings]
    return [[s for s in range(i) if last[s] >= i] for i in range(H.n + 1)]


def narrow_boundaries(H):
    """As `boundaries`, if tables of all configurations of each can be made.

    Raises:
        ValueError: a boundary has more than 22 spins.
    """
    kept = boundaries(H)
    widest = max(map(len, kept))
    if widest > MAX_BOUNDARY:
        raise ValueError(
            f"the transfer matrix needs boundaries of at most {MAX_BOUNDARY} spins, and there is "
            f"one of {widest}; another order of the spins may have smaller ones"
        )
    return kept


def fields_of_the_past(H):
    """For each spin i, the later spins l on which the past acts, xi_il != 0 for some spins before.

    A net with a Hamiltonian works out a function of each of these fields; all other fields are zero
    in every sample (Paper Eq. (9)).

    Args:
        H: a PairwiseHamiltonian with couplings (n, n).

    Returns:
        A list of n ascending lists of spins, counted from 0.
    """
    couplings = H.couplings.cpu().numpy()
    first = [min(np.flatnonzero(row), default=H.n) for row in couplings]
    return [[later for later in range(i + 1, H.n) if first[later] < i] for i in range(H.n)]


def suffix_sums(H, beta):
    """ln of the sum over the spins from i on, at given earlier ones, for i = n, n-1, ..., 0.

    T_i(x_<i) = sum over x_i ... x_{n-1} of exp(-beta times the terms of H that hold one of them)
    obeys T_n = 1 and

        T_i = sum_{x_i} exp(beta x_i (h_i + sum_{s<i} J_si x_s)) T_{i+1},

    and depends on the spins of boundary i alone. T_0 is Z.

    Yields:
        Arrays of shape (2,) * len(boundaries(H)[i]), float64: one axis for each spin of the
        boundary, in their order, -1 before +1.

    Raises:
        ValueError: beta is not positive and finite, or a boundary has more than 22 spins.
    """
    beta, kept = as_positive("beta", beta), narrow_boundaries(H)
    couplings = beta * H.couplings.detach().cpu().double().numpy()
    fields = beta * H.fields.detach().cpu().double().numpy()
    table = np.zeros(())
    yield table
    for i in reversed(range(H.n)):
        field = np.full((1,) * len(kept[i]), fields[i])
        for axis, s in enumerate(kept[i]):
            values = couplings[s, i] * np.array([-1.0, 1.0])
            field = field + values.reshape([-1 if a == axis else 1 for a in range(len(kept[i]))])
        # One axis for each spin of boundary i, and one for spin i itself, of length 1 where the
        # later sum does not depend on it.
        axes = tuple(slice(None) if s in kept[i + 1] else None for s in [*kept[i], i])
        table = table[axes]
        table = np.logaddexp(table[..., 0] - field, table[..., -1] + field)
        yield table


def log_partition(H, beta):
    """ln Z by the transfer matrix, a float; exact, in time and memory of the order of n 2^w.

    Any couplings and fields will do, in any order of the spins; w is the size of the largest of the
    `boundaries`. For a lattice of L columns it is L if rows are open or closed and columns open,
    and 2L if columns are closed.

    Raises:
        ValueError: beta is not positive and finite, or a boundary has more than 22 spins.
    """
    for table in suffix_sums(H, beta):
        last = table
    return float(last)
