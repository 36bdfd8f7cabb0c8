"""Eq. (15): for N -> infinity the later spins take the magnetisation of a saddle point,
m_i / eta_i = tanh beta [h + J (S/N + m_i)] with eta_i = 1 - i/N, and S = (i-1) m_beta in a typical
sample. Its solution is |m_i| = eta_i m_beta, and the weight of the sign in CW_inf is
+2 beta J |m_i|.

The paper prints m_i N/(N-1) = tanh beta (m_i - m_beta) N/(N-i), and -2 beta J |m_i|. Chapter 4.
"""

import math

import pytest
from scipy.optimize import brentq
from systems import tensor

from arnn import exact
from arnn.nets import CurieWeissInfinity, CurieWeissN, limit_weights

BETA = 1.3
M_BETA = exact.curie_weiss_magnetisation(BETA)


@pytest.mark.parametrize("beta", [1.1, 1.3, 2.0])
@pytest.mark.parametrize("eta", [0.1, 0.5, 0.9])
def test_on_a_typical_sample_the_solution_is_analytic(beta, eta):
    m_beta = exact.curie_weiss_magnetisation(beta)
    past = (1 - eta) * m_beta
    solution = brentq(lambda m: math.tanh(beta * (past + m)) - m / eta, 1e-12, eta, xtol=1e-14)
    assert solution == pytest.approx(eta * m_beta, abs=1e-12)


def test_the_weights_of_the_package_are_these():
    expected = [2 * BETA * (1 - i / 50) * M_BETA for i in range(1, 51)]
    assert limit_weights(50, BETA).tolist() == pytest.approx(expected, abs=1e-14)


def largest_gap(n):
    """Between CW_N and the analytic CW_inf on the typical sample, over all i > N/20."""
    exact_net, limit = CurieWeissN(n, BETA), CurieWeissInfinity(n, BETA)
    gaps = []
    for i in range(n // 20 + 1, n + 1, max(1, n // 200)):
        total = tensor((i - 1) * M_BETA)
        gap = exact_net.logit_of_sum(i - 1, total) - limit.logit_of_sum(i - 1, total)
        gaps.append(abs(gap.item()))
    return max(gaps)


def test_the_exact_net_approaches_it_like_one_over_n():
    gaps = [largest_gap(n) for n in (200, 500, 1000, 2000)]
    assert gaps == pytest.approx([0.039, 0.0147, 0.0073, 0.0036], rel=0.05)
    assert gaps[2] / gaps[3] == pytest.approx(2, rel=0.05)


def test_the_printed_sign_turns_the_majority_against_itself():
    n, i = 2000, 1000
    total = tensor((i - 1) * M_BETA)
    b_plus, b_minus, weights = CurieWeissN(n, BETA).hidden_layer(i - 1)
    truth = (weights * total + b_plus).logsumexp(0) - (weights * total + b_minus).logsumexp(0)
    omega1 = limit_weights(n, BETA)[i - 1].item()
    assert truth.item() == pytest.approx(omega1, abs=5e-3)
    assert truth.item() - (-omega1) == pytest.approx(1.95, abs=0.01)


@pytest.mark.parametrize("left_denominator", ["N-1", "N-i"])
def test_the_printed_equation_has_another_solution(left_denominator):
    n, i = 2000, 1000
    denominator = n - 1 if left_denominator == "N-1" else n - i

    def printed(m):
        return math.tanh(BETA * (m - M_BETA) * n / (n - i)) - m * n / denominator

    truth = (1 - i / n) * M_BETA
    assert abs(printed(truth)) > 0.3
    assert abs(printed(-truth)) > 0.05
    solution = brentq(printed, -1, 0)
    assert abs(abs(solution) - truth) > 0.1


def test_above_the_critical_temperature_the_response_of_the_later_spins_is_left_out():
    """CW_inf has omega1 = 0 there, while ln rho+ - ln rho- is of the order of what it keeps."""
    n, i, beta, total = 4000, 1000, 0.8, 10.0
    assert not limit_weights(n, beta).any()
    b_plus, b_minus, weights = CurieWeissN(n, beta).hidden_layer(i - 1)
    found = (weights * total + b_plus).logsumexp(0) - (weights * total + b_minus).logsumexp(0)
    eta, direct = 1 - i / n, 2 * beta * total / n
    assert found.item() / direct == pytest.approx(beta * eta / (1 - beta * eta), rel=0.01)
