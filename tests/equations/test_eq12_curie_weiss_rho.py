"""Eq. (12): rho+- of the Curie-Weiss model is, up to a factor that is the same for both signs, a
sum over the later spins that depends on their sum M alone:
exp{beta (h +- J/N + J S/N) M + beta J M^2 / 2N}.

Chapter 3.
"""

import pytest
from systems import for_random_curie_weiss, tensor

from arnn.nets import H2ARNN


@for_random_curie_weiss
def test_it_is_proportional_to_rho_with_one_factor_for_all(model):
    """M^2 counts each spin with itself, hence the factor exp(beta J (N-i) / 2N)."""
    net = H2ARNN(model.system().hamiltonian(), model.beta)
    for i in range(1, model.n):
        later = model.n - i
        for total in range(-i + 1, i, 2):
            fields = [[model.coupling / model.n * total] * later]
            for sign, found in zip((1, -1), net.log_rho(i - 1, tensor(fields)), strict=True):
                factor = model.beta * model.coupling * later / (2 * model.n)
                expected = model.log_rho(i, sign, total) - factor
                assert found.item() == pytest.approx(expected, abs=1e-11)


@for_random_curie_weiss
def test_the_package_sums_the_same_terms(model):
    net = model.net()
    for i in range(1, model.n + 1):
        b_plus, b_minus, weights = net.hidden_layer(i - 1)
        for total in range(-i + 1, i, 2):
            for sign, bias in ((1, b_plus), (-1, b_minus)):
                found = (bias + weights * total).logsumexp(0).item()
                assert found == pytest.approx(model.log_rho(i, sign, total), abs=1e-11)
