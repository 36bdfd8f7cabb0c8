"""Paper Eq. (16): the energy of the SK model, -sum_{i<j} J_ij x_i x_j, with J of variance 1/N.

Correct as printed, with the density sqrt(N / 2 pi) exp(-N J^2 / 2). Chapter 7.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from systems import spins

import arnn

N = 6


def test_the_energy():
    H = arnn.sherrington_kirkpatrick(N, seed=4)
    J = H.couplings.tolist()
    for x in spins(N):
        pairs = itertools.combinations(range(N), 2)
        expected = -math.fsum(J[i][j] * x[i] * x[j] for i, j in pairs)
        found = H.energy(torch.tensor([x], dtype=torch.float64))
        assert float(found) == pytest.approx(expected, abs=1e-12)


def test_the_density_of_a_coupling():
    density = lambda J: math.sqrt(N / (2 * math.pi)) * math.exp(-N * J**2 / 2)  # noqa: E731
    moments = [quad(lambda J, p=p: J**p * density(J), -8, 8)[0] for p in range(3)]
    assert moments == pytest.approx([1, 0, 1 / N], abs=1e-10)


def test_the_instances_follow_it():
    n = 400
    J = arnn.sherrington_kirkpatrick(n, seed=1).couplings[np.triu_indices(n, 1)].numpy()
    assert abs(J.mean()) < 4 / math.sqrt(n * len(J))
    assert n * J.var() == pytest.approx(1, abs=4 * math.sqrt(2 / len(J)))
    assert n**2 * (J**4).mean() == pytest.approx(3, abs=4 * math.sqrt(96 / len(J)))


def test_the_energy_of_any_configuration_has_variance_half_of_n():
    """E H^2 = (N-1)/2 whatever x is: this scale makes the free energy extensive."""
    x = torch.ones(1, N, dtype=torch.float64)
    x[0, ::2] = -1
    energies = np.array([float(arnn.sherrington_kirkpatrick(N, s).energy(x)) for s in range(2000)])
    expected = (N - 1) / 2
    assert abs((energies**2).mean() - expected) < 4 * expected * math.sqrt(2 / len(energies))
