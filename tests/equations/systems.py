"""Small random systems in Python numbers, against which each equation is computed anew."""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, logsumexp

import arnn


def spins(n):
    """All configurations of n spins, tuples of -1 and 1; one empty tuple if n = 0."""
    return itertools.product((-1, 1), repeat=n)


def sigma(t):
    return 1 / (1 + math.exp(-t))


def log_sum_exp(terms):
    terms = list(terms)
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))


@dataclass(frozen=True)
class System:
    """Couplings J (a symmetric list of lists), fields h and beta; spins are counted from 1 to n."""

    couplings: list
    fields: list
    beta: float

    @property
    def n(self):
        return len(self.fields)

    def J(self, i, j):
        return self.couplings[i - 1][j - 1]

    def h(self, i):
        return self.fields[i - 1]

    def energy(self, x):
        """H = - sum_{i<j} J_ij x_i x_j - sum_i h_i x_i."""
        pairs = itertools.combinations(range(1, self.n + 1), 2)
        coupled = math.fsum(self.J(i, j) * x[i - 1] * x[j - 1] for i, j in pairs)
        return -coupled - math.fsum(h * s for h, s in zip(self.fields, x, strict=True))

    def f(self, first):
        """The sum of exp(-beta H) over all spins after the given first ones."""
        rest = spins(self.n - len(first))
        return math.fsum(math.exp(-self.beta * self.energy((*first, *later))) for later in rest)

    def logit(self, past):
        """The exact ln P(+1 | past) - ln P(-1 | past)."""
        return math.log(self.f((*past, 1)) / self.f((*past, -1)))

    def pasts(self, i):
        """All values of the spins before spin i."""
        return spins(i - 1)

    def hamiltonian(self):
        return arnn.PairwiseHamiltonian(self.couplings, self.fields)


def random_couplings(draw, n, largest):
    values = iter(draw(st.lists(st.floats(-largest, largest), min_size=n * n, max_size=n * n)))
    couplings = [[0.0] * n for _ in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        couplings[i][j] = couplings[j][i] = next(values)
    return couplings


@st.composite
def systems(draw):
    n = draw(st.integers(1, 5))
    fields = draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n))
    return System(random_couplings(draw, n, 1.5), fields, draw(st.floats(0.1, 2)))


class CurieWeiss(NamedTuple):
    """J_ij = coupling / n and h_i = field."""

    n: int
    beta: float
    coupling: float
    field: float

    def system(self):
        off_diagonal = self.coupling / self.n
        rows = range(self.n)
        couplings = [[off_diagonal * (i != j) for j in rows] for i in rows]
        return System(couplings, [self.field] * self.n, self.beta)

    def net(self):
        return arnn.nets.CurieWeissN(*self)

    def log_rho(self, i, sign, total):
        """ln rho+ or ln rho- of Paper Eq. (12) over all configurations of the spins after i."""
        own_field = self.field + (sign + total) * self.coupling / self.n
        weights = []
        for later in spins(self.n - i):
            m = sum(later)
            weights.append(self.beta * (own_field * m + self.coupling * m**2 / (2 * self.n)))
        return log_sum_exp(weights)


def curie_weiss_models(least_coupling):
    return st.builds(
        CurieWeiss,
        n=st.integers(1, 7),
        beta=st.floats(0.1, 2),
        coupling=st.floats(least_coupling, 2),
        field=st.floats(-0.8, 0.8),
    )


def possible_sums(count):
    """The sums that so many spins can have."""
    return range(-count, count + 1, 2)


def exponent(n, i, beta, sign, total, m):
    """The logarithm of the corrected summand of SI Eq. (8) at J = 1, for any real m in it."""
    rho = (n - i) / n
    up, down = n * (rho + m) / 2, n * (rho - m) / 2
    log_binomial = gammaln(n - i + 1) - gammaln(up + 1) - gammaln(down + 1)
    return log_binomial + n * beta / 2 * m**2 - sign * beta * m - beta * m * total


def log_sum(n, i, beta, sign, total):
    """ln rho of SI Eq. (8), corrected, for many spins."""
    m = (2 * np.arange(n - i + 1) - (n - i)) / n
    return logsumexp(exponent(n, i, beta, sign, total, m))


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


def _with(strategy, examples):
    def decorate(test):
        return settings(deadline=None, derandomize=True, max_examples=examples)(
            given(strategy)(test)
        )

    return decorate


for_random_systems = _with(systems(), 10)
for_random_curie_weiss = _with(curie_weiss_models(-1.5), 10)
# What follows from a Gaussian integral needs a positive coupling.
for_random_ferromagnets = _with(curie_weiss_models(0.2), 10)

# One system in which every term acts, to say how much a misprint costs.
EXAMPLE = System(
    couplings=[[0, 0.6, -0.4, 0.3], [0.6, 0, 0.5, -0.7], [-0.4, 0.5, 0, 0.8], [0.3, -0.7, 0.8, 0]],
    fields=[0.2, -0.3, 0.1, 0.4],
    beta=1.3,
)
