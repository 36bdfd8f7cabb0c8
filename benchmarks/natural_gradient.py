"""Is the natural gradient of each conditional worth its time? It and Adam, error and time.

The conditionals of a k-RSB network share no parameters, so the Fisher matrix of Q is block-diagonal
and its block for conditional i is an average over the earlier spins alone,

    F_i = E[ p_i (1 - p_i) d_i d_i^T ],   d_i = d logit_i / d theta_i,   p_i = sigma(logit_i).

A step moves theta_i by -rate (F_i + damping)^-1 times the score-function gradient. `python
benchmarks/natural_gradient.py` trains from the same start by both and saves
benchmarks/natural_gradient.json.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch.nn.functional import logsigmoid

import arnn
from arnn import estimators, training
from arnn.nets import SKRSB

RESULT = Path(__file__).with_name("natural_gradient.json")
BETA, BATCH = 1.0, 2000
DAMPING = {0: 1e-3, 1: 3e-3}


def slopes_of_logit(net, i, fields):
    """d logit_i / d theta_i, (batch, parameters), at the later fields xi_il, (n-1-i, batch).

    The parameters are those of `parameters_of`, in its order.
    """
    own = net.pairs(i)
    values, inner = [fields.expand(2, *fields.shape)], []
    for bias, weight in zip(reversed(net.biases), reversed(net.weights), strict=False):
        u = bias[:, own, None] + weight[:, own, None] * values[0]
        values.insert(0, logsigmoid(u))
        inner.insert(0, torch.sigmoid(-u))
    columns = [fields.new_ones(1, fields.shape[1]), values[0].flatten(0, 1)]
    upstream = net.weights[0][:, own, None]
    for j, slope in enumerate(inner):
        upstream = upstream * slope
        columns.append((upstream * values[j + 1]).flatten(0, 1))  # by w_{j+1}
        columns.append(upstream.expand_as(slope).flatten(0, 1))  # by b_{j+1}
        upstream = upstream * net.weights[j + 1][:, own, None]
    return torch.cat(columns).T


def parameters_of(net, i):
    """Views of the parameters of conditional i: b_i, w_0, then w_1, b_1, w_2, b_2, ..."""
    own = net.pairs(i)
    views = [net.bias[i : i + 1], net.weights[0][:, own]]
    for weight, bias in zip(list(net.weights)[1:], net.biases, strict=True):
        views += [weight[:, own], bias[:, own]]
    return views


@torch.no_grad()
def natural_directions(net, x, weight, damping):
    """(F_i + damping)^-1 times the gradient of sum_b weight_b ln Q(x_b), for each conditional."""
    spins, logits = x.T, net.logits(x).T
    directions = []
    for i in range(net.n):
        fields = net.couplings[:i, i + 1 :].T @ spins[:i]
        d = slopes_of_logit(net, i, fields)
        p = torch.sigmoid(logits[i])
        gradient = d.T @ (weight * spins[i] * torch.sigmoid(-spins[i] * logits[i]))
        fisher = d.T @ (d * (p * (1 - p) / len(x))[:, None])
        fisher.diagonal().add_(damping)
        factor = torch.linalg.cholesky(fisher)
        directions.append(torch.cholesky_solve(gradient[:, None], factor)[:, 0])
    return directions


@torch.no_grad()
def natural_step(net, H, rate, damping, generator):
    """One step of the natural gradient on the variational free energy."""
    x, log_prob = net.sample(BATCH, generator)
    cost = log_prob + BETA * H.energy(x)
    directions = natural_directions(net, x, (cost - cost.mean()) / (BATCH - 1), damping)
    for i, direction in enumerate(directions):
        views = parameters_of(net, i)
        parts = direction.split([view.numel() for view in views])
        for view, part in zip(views, parts, strict=True):
            view.sub_(rate * part.reshape(view.shape))


def trained(n, k, instance):
    """The network at its start, and its Hamiltonian."""
    H = arnn.sherrington_kirkpatrick(n, instance, dtype=torch.float32)
    return SKRSB(H, k, beta=BETA), H


def by_adam(n, k, instance, steps):
    """Seconds, and the network after Adam with a decaying step size."""
    net, H = trained(n, k, instance)
    start = time.perf_counter()
    schedule = {"steps": steps, "batch": BATCH, "lr": 3e-3, "final_lr": 1e-4, "seed": 1}
    training.minimise_free_energy(net, H, [BETA], **schedule)
    return time.perf_counter() - start, net, H


def by_natural_gradient(n, k, instance, steps, rate, damping):
    """Seconds, and the network after natural steps whose rate decays as Adam's."""
    net, H = trained(n, k, instance)
    generator = torch.Generator().manual_seed(1)
    start = time.perf_counter()
    for step in range(steps):
        natural_step(net, H, rate * (1 / 30) ** (step / max(1, steps - 1)), damping, generator)
    return time.perf_counter() - start, net, H


def measured(method, n, k, instance, steps, **options):
    """One line of the result: the seconds of a training and the free energy that it reached."""
    train = by_adam if method == "Adam" else by_natural_gradient
    seconds, net, H = train(n, k, instance, steps, **options)
    generator = torch.Generator().manual_seed(2)
    found = estimators.free_energy(net, H, BETA, samples=200_000, generator=generator)
    settings = {"method": method, "n": n, "k": k, "instance": instance, "steps": steps} | options
    return settings | {"seconds": seconds, "f": found.f, "f_error": found.f_error}


def main():
    """Both methods on several instances, printed and saved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    by_adam(options.n, 0, 1, 2)  # compiles
    rows = []
    for k, instance in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)):
        size = (options.n, k, instance)
        cases = [("Adam", steps, {}) for steps in (100, 400, 1600)]
        dampings = (1e-2, 1e-3, 1e-4) if size == (options.n, 0, 1) else (DAMPING[k],)
        cases += [
            ("natural", steps, {"rate": 1.0, "damping": damping})
            for steps in (10, 20, 40)
            for damping in dampings
        ]
        for method, steps, parameters in cases:
            rows.append(measured(method, *size, steps, **parameters))
            print(rows[-1], flush=True)
    result = {"beta": BETA, "batch": BATCH, "rows": rows}
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
