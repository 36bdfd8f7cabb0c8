"""SI Eq. (1): the Curie-Weiss conditional in terms of M_<i = sum_{s<i} x_s: it counts how many of
the past spins are up, not which.

Chapter 3.
"""

import itertools

import pytest
from systems import for_random_curie_weiss, tensor


@for_random_curie_weiss
def test_pasts_of_the_same_sum_give_the_same_conditional(model):
    system = model.system()
    for i in range(1, min(model.n, 5) + 1):
        by_sum = {}
        for past in system.pasts(i):
            by_sum.setdefault(sum(past), []).append(system.logit(past))
        assert len(by_sum) == i
        for logits in by_sum.values():
            assert max(logits) - min(logits) < 1e-11


@for_random_curie_weiss
def test_the_formula_holds_with_the_sum(model):
    system, net = model.system(), model.net()
    for i in range(1, min(model.n, 5) + 1):
        for ups in range(i):
            past, total = (1,) * ups + (-1,) * (i - 1 - ups), 2 * ups - (i - 1)
            difference = model.log_rho(i, 1, total) - model.log_rho(i, -1, total)
            direct = 2 * model.beta * (model.field + model.coupling / model.n * total)
            assert direct + difference == pytest.approx(system.logit(past), abs=1e-11)
            for order in set(itertools.permutations(past)):
                logits = net.logits(tensor([[*order, *[1] * (model.n - i + 1)]]))
                assert logits[0, i - 1].item() == pytest.approx(system.logit(past), abs=1e-11)
