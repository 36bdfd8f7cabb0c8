"""SI Eq. (12): the free energy F = -ln Z / beta; it is <H> minus the entropy over beta.

Chapter 3.
"""

import math

import pytest
from systems import for_random_curie_weiss, spins

from arnn import exact


@for_random_curie_weiss
def test_it_is_energy_minus_temperature_times_entropy(model):
    system = model.system()
    weights = {x: math.exp(-model.beta * system.energy(x)) for x in spins(model.n)}
    z = math.fsum(weights.values())
    energy = math.fsum(w / z * system.energy(x) for x, w in weights.items())
    entropy = -math.fsum(w / z * math.log(w / z) for w in weights.values())
    free_energy = -math.log(z) / model.beta
    assert free_energy == pytest.approx(energy - entropy / model.beta, abs=1e-10)
    found = model.n * exact.curie_weiss_free_energy(*model)
    assert found == pytest.approx(free_energy, abs=1e-10)


@for_random_curie_weiss
def test_it_holds_for_the_closed_averages(model):
    found = exact.curie_weiss_thermodynamics(*model)
    free_energy = -found["log_partition"] / model.beta
    difference = found["energy"] - found["entropy"] / model.beta
    assert free_energy == pytest.approx(difference, abs=1e-10)
    step = 1e-5
    up, down = (
        exact.curie_weiss_log_partition(*model._replace(beta=model.beta + s)) for s in (step, -step)
    )
    assert found["energy"] == pytest.approx(-(up - down) / (2 * step), abs=1e-6)
