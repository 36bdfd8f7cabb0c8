"""SI Eq. (28): the conditional of SK_RS.

Right: logit_i = 2 beta (h_i + xi_ii) + b_i + sum_{l, +-} w0 ls(b1 + w1 xi_il), with ls the
log-sigmoid. The paper prints the direct field without 2 beta and no bias b_i, which takes the
linear term of SI Eq. (27) and the b0 of the fits. Chapter 7.
"""

import math

import pytest
import torch
from systems import EXAMPLE, sigma

from arnn import replica
from arnn.nets import SKRSB


def log_sigmoid(t):
    return math.log(sigma(t))


def test_the_network_is_the_formula():
    H = EXAMPLE.hamiltonian()
    net = SKRSB(H, 0, beta=EXAMPLE.beta, init="paper", generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for numbers in net.parameters():
            numbers.mul_(3)  # away from the small initial numbers
    net.set_beta(EXAMPLE.beta)
    x = torch.tensor([[1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)
    for row, logits in zip(x.tolist(), net.logits(x).tolist(), strict=True):
        for i in range(1, 5):
            past = row[: i - 1]

            def xi(later, past=past):
                return sum(EXAMPLE.J(s, later) * v for s, v in enumerate(past, 1))

            logit = 2 * EXAMPLE.beta * (EXAMPLE.h(i) + xi(i)) + net.bias[i - 1].item()
            for sign in (0, 1):
                w0, w1 = (w[sign, net.pairs(i - 1)].tolist() for w in net.weights)
                b1 = net.biases[0][sign, net.pairs(i - 1)].tolist()
                for j, later in enumerate(range(i + 1, 5)):
                    logit += w0[j] * log_sigmoid(b1[j] + w1[j] * xi(later))
            assert logits[i - 1] == pytest.approx(logit, abs=1e-10)


@pytest.mark.parametrize("q", [0.1, 0.5])
def test_its_hidden_unit_stands_for_the_convolution(q):
    """b0 + w0 ls(b1 + w1 x) against E_z ls(2 beta (x + sqrt(q) z)), with numbers from a fit."""
    beta = 1.0
    fit = replica.fit_convolution(beta, q)
    b0, w0, b1, w1 = fit.parameters
    for x in (-3.0, -1.0, 0.0, 0.4, 2.5):
        exact = float(replica.gaussian_convolution(x, beta, q))
        unit = b0 + w0 * log_sigmoid(b1 + w1 * x)
        assert abs(unit - exact) <= fit.max_error + 1e-9
        assert fit.max_error < 0.02


def test_without_the_factor_two_beta_the_direct_field_is_wrong():
    """The last spin has no later ones: its exact logit is 2 beta (h + xi) alone."""
    x = torch.tensor([[1.0, -1.0, 1.0, 1.0]], dtype=torch.float64)
    net = SKRSB(EXAMPLE.hamiltonian(), 0, beta=EXAMPLE.beta)
    found = net.logits(x)[0, 3].item()
    assert found == pytest.approx(EXAMPLE.logit((1, -1, 1)), abs=1e-12)
    assert abs(found - found / (2 * EXAMPLE.beta)) > 0.5
