"""SI Eq. (2): rho+- is the partition function of a Curie-Weiss model of the N - i later spins, with
the field h +- J/N + J S/N.

Its coupling per spin is that of the whole model, J/N, and so J (N-i)/N in its own units.
Chapter 3.
"""

import pytest
from systems import for_random_curie_weiss, possible_sums

from arnn import exact


@for_random_curie_weiss
def test_rho_is_the_partition_function_of_a_smaller_model(model):
    for i in range(1, model.n):
        later = model.n - i
        coupling = model.coupling * later / model.n
        for total in possible_sums(i - 1):
            for sign in (1, -1):
                field = model.field + (sign + total) * model.coupling / model.n
                log_z = exact.curie_weiss_log_partition(later, model.beta, coupling, field)
                # M^2 in SI Eq. (2) counts each spin with itself, the model does not.
                with_itself = log_z + model.beta * coupling / 2
                assert model.log_rho(i, sign, total) == pytest.approx(with_itself, abs=1e-11)
