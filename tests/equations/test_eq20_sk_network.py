"""Paper Eq. (20) with the architectures displayed below it: the conditionals of SK_RS and SK_1RSB.

Right: logit_i = 2 beta (h_i + xi_ii) + b_i + ln rho+ - ln rho-, where ln rho+- is the sum over the
later spins l of w_0 ls(b_1 + w_1 xi_il) for RS and of w_0 ls(b_1 + w_1 ls(b_2 + w_2 xi_il)) for
1RSB, ls the log-sigmoid. The paper prints xi_ii without 2 beta, and no bias b_i, which takes the
linear term of ln 2cosh x = x - ls(2x). Chapter 11.
"""

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit

import arnn
from arnn import exact, replica
from arnn.nets import SKRSB

N, BETA, SPIN = 7, 1.2, 2  # the conditional of the third spin, with four later ones


def hamiltonian():
    sk = arnn.sherrington_kirkpatrick(N, 1)
    return arnn.PairwiseHamiltonian(sk.couplings, torch.linspace(-0.4, 0.5, N))


def star():
    """Spin 0 is coupled with all others; once it is known, the later spins are free."""
    couplings = torch.zeros(5, 5, dtype=torch.float64)
    couplings[0, 1:] = torch.tensor([0.9, -0.4, 0.6, 0.3]).double()
    return arnn.PairwiseHamiltonian(couplings + couplings.T)


def numbers(net, i):
    """w_0, (b_1, w_1), ... of one conditional as arrays (2, n-1-i), sign + first."""
    own = net.pairs(i)
    weights = [w.detach()[:, own].numpy() for w in net.weights]
    return weights, [b.detach()[:, own].numpy() for b in net.biases]


def display(weights, biases, fields):
    """ln rho+ and -ln rho-: the displays for RS, 1RSB and 2RSB, written out."""
    if len(biases) == 1:
        ((w0, w1), (b1,)) = weights, biases
        return (w0 * log_expit(b1 + w1 * fields)).sum(1)
    if len(biases) == 2:
        (w0, w1, w2), (b1, b2) = weights, biases
        return (w0 * log_expit(b1 + w1 * log_expit(b2 + w2 * fields))).sum(1)
    (w0, w1, w2, w3), (b1, b2, b3) = weights, biases
    inner = log_expit(b2 + w2 * log_expit(b3 + w3 * fields))
    return (w0 * log_expit(b1 + w1 * inner)).sum(1)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_conditional_is_the_sigmoid_of_the_display(k):
    H, x = hamiltonian(), exact.configurations(N)[::9]
    net = SKRSB(H, k, beta=BETA)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from the start, where many numbers are equal
        for p in [net.bias, *net.weights, *net.biases]:
            p.add_(0.5 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        up = torch.sigmoid(net.logits(x))
    for i in range(N):
        for row, spins in enumerate(x.numpy()):
            fields = spins[:i] @ H.couplings.numpy()[:i]
            direct = 2 * BETA * (float(H.fields[i]) + fields[i]) + net.bias[i].item()
            plus, minus = display(*numbers(net, i), fields[i + 1 :])
            assert up[row, i].item() == pytest.approx(expit(direct + plus + minus), abs=1e-12)


@pytest.mark.parametrize(
    ("q", "m", "error"),
    [((0.0,), (), 1e-9), ((0.3,), (), 0.01), ((0.2, 0.6), (0.4,), 0.006)],
)
def test_the_display_stands_for_the_replica_expression(q, m, error):
    """With the numbers of the fits of SI Eqs. (46) and (47), at given order parameters.

    Each later spin and sign adds at most the error of the fit; without overlap (q = 0) the later
    spins are free, and the display is exact.
    """
    H, k = hamiltonian(), len(m)
    fit = replica.fit_convolution(BETA, q, m)
    assert fit.max_error < error
    _, w0, *inner = fit.parameters
    later = np.arange(SPIN + 1, N)
    couplings, local = H.couplings.numpy()[SPIN, later], H.fields.numpy()[later]
    sign = np.array([[1.0], [-1.0]])
    scale = inner[-1]
    biases = [np.full((2, len(later)), b) for b in inner[:-2:2]]
    biases.append(inner[-2] + scale * (local + sign * couplings))
    weights = [-sign * w0 * np.ones_like(biases[0])]
    weights += [np.full_like(biases[0], w) for w in inner[1::2]]
    assert len(biases) == k + 1
    assert len(weights) == k + 2
    for fields in (np.zeros(4), np.array([0.8, -1.1, 0.3, 0.5]), np.array([-2.0, 1.0, 1.5, 0.1])):
        log_rho = [replica.log_rho(BETA, local + fields + s * couplings, N, q, m) for s in (1, -1)]
        bias = 2 * BETA * couplings.sum()  # of ln 2cosh x = x - ls(2x); b0 is in both log rho
        found = display(weights, biases, fields).sum() + bias
        assert abs(found - (log_rho[0] - log_rho[1])) < 2 * len(later) * fit.max_error + 1e-9
        assert abs(log_rho[0] - log_rho[1]) > 0.3


def test_two_beta_and_the_bias_are_needed():
    """Where the later spins are free the right form is exact, and both omissions are errors."""
    H, x = star(), exact.configurations(5)
    expected = exact.conditional_logits(H, BETA, x)
    net = SKRSB(H, 0, beta=BETA)
    torch.testing.assert_close(net.logits(x).detach(), expected, rtol=0, atol=1e-12)
    with torch.no_grad():
        net.omega.fill_(1)
        without_two_beta = (net.logits(x) - expected).abs().max(0).values
        net.omega.fill_(2 * BETA)
        net.bias.zero_()
        without_bias = (net.logits(x) - expected).abs().max(0).values
    # Spin 1 sees the field J_01 = 0.9 of spin 0; the bias of spin 0 is 2 beta sum_l J_0l = 3.36.
    assert without_two_beta[1].item() == pytest.approx((2 * BETA - 1) * 0.9, abs=1e-7)
    assert without_bias[0].item() == pytest.approx(2 * BETA * 1.4, abs=1e-7)
