"""One measurement in a process of its own: `python benchmarks/measure.py '{"kind": ...}'`.

It prints one line of JSON. A process of its own means that no measurement warms the caches of
another, that the number of threads is set before any pool starts, and that the peak memory is that
of this measurement alone. Times are in seconds, memory in MB (10^6 bytes).
"""

import json
import math
import platform
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from numba import njit, prange, set_num_threads

import arnn
from arnn import compiled, montecarlo, sk_kernels, training
from arnn.natural_gradient import NaturalGradient
from arnn.nets import MADE, SKRSB, Cavity, CurieWeissInfinity, OneParameter, SingleLayer
from literal import LiteralNetwork, sample_by_forward_passes

BETA = 1.0


def make_net(name, H):
    """An untrained float32 net by its name in the book."""
    where = {"dtype": torch.float32}
    if name.startswith("SK_"):
        k = {"SK_RS": 0, "SK_1RSB": 1, "SK_2RSB": 2}[name]
        return SKRSB(H, k, beta=BETA, **where)
    if name.startswith("MADE_"):
        return MADE(H.n, depth=int(name[-2]), width=int(name[-1]), **where)
    if name.startswith("Cavity_"):
        return Cavity(H, int(name.removeprefix("Cavity_")), beta=BETA, **where)
    if name == "CW_inf":
        return CurieWeissInfinity(H.n, BETA, train_shared=True, **where)
    return {"1P": OneParameter, "1L": SingleLayer}[name](H.n, **where)


def times(*functions, repeats):
    """Seconds of each function, `repeats` of each, in turn; one call before is not counted."""
    found = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, seconds in zip(functions, found, strict=True):
            start = time.perf_counter()
            function()
            if turn:
                seconds.append(time.perf_counter() - start)
    return found


def summary(seconds):
    """Median, minimum and maximum."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


def training_step(net, H, batch, optimiser=None):
    """A function that does one whole step: samples, gradient, optimiser; Adam if None."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = optimiser or torch.optim.Adam(parameters, lr=1e-4)
    generator = torch.Generator(H.device).manual_seed(1)

    def step():
        x, log_prob = net.sample_for_training(batch, generator)
        loss, _ = training.score_function_loss(net, H, BETA, x, log_prob)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def peak_memory():
    """The largest memory that the process has had, MB."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def net_times(net, n, batch, repeats, **_):
    """A whole training step and sampling alone, of one net."""
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32)
    network = make_net(net, H)
    before = peak_memory()
    step, sample = times(
        training_step(network, H, batch), lambda: network.sample(batch), repeats=repeats
    )
    return {
        "step": summary(step),
        "sample": summary(sample),
        "parameters": network.num_parameters(),
        "memory": peak_memory() - before,
    }


def against_literal(net, n, batch, repeats, **_):
    """Our step, the literal one and the bare log-sigmoids of ours, in turn."""
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32)
    network = make_net(net, H)
    ours = training_step(network, H, batch)
    literal = training_step(LiteralNetwork(network), H, batch)
    count = 2 * (network.k + 1) * n * (n - 1) // 2 * batch
    bare = bare_log_sigmoids(2 * count)  # each is worked out in the forward and the backward pass
    found = times(ours, literal, bare, repeats=repeats)
    names = ("step", "literal", "floor")
    return {"log_sigmoids": 2 * count} | {
        name: summary(seconds) for name, seconds in zip(names, found, strict=True)
    }


def natural_times(net, n, batch, repeats, **_):
    """Measuring the Fisher blocks, and a step of the natural gradient without that."""
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32)
    network = make_net(net, H)
    optimiser = NaturalGradient(network)
    x, _ = network.sample(batch)
    refresh, step = times(
        lambda: optimiser.measure(x),
        training_step(network, H, batch, optimiser),
        repeats=repeats,
    )
    return {"step": summary(step), "refresh": summary(refresh)}


def gpu_times(net, n, batch, repeats, **_):
    """A whole training step on a GPU, and the part of it that its special functions must take.

    A k-RSB network works out each log-sigmoid forwards and backwards, an exponential and a
    logarithm each time.
    """
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32, device="cuda")
    network = make_net(net, H).to("cuda")
    step = training_step(network, H, batch)

    def finished_step():
        step()
        torch.cuda.synchronize()

    (seconds,) = times(finished_step, repeats=repeats)
    found = {"step": summary(seconds), "gpu": torch.cuda.get_device_name()}
    found["memory"] = torch.cuda.max_memory_allocated() / 1e6
    if isinstance(network, SKRSB):
        functions = 2 * 2 * 2 * (network.k + 1) * n * (n - 1) // 2 * batch
        rate = special_functions_per_second(torch.cuda.get_device_properties("cuda"))
        found["roofline"] = functions / rate / found["step"]["median"]
    return found


def instance_times(net, n, batch, repeats, instances=10, device="cuda", **_):
    """A step of several instances side by side on a GPU, and one of a single instance alone."""
    steps = [steps_side_by_side(net, n, batch, count, device) for count in (instances, 1)]
    together, alone = times(*steps, repeats=repeats)
    found = {"step": summary(together), "alone": summary(alone)}
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["memory"] = torch.cuda.max_memory_allocated() / 1e6
    return found


def steps_side_by_side(net, n, batch, count, device):
    """A function that does one whole step of so many instances and waits for its end."""
    where = {"dtype": torch.float32, "device": device}
    models = [arnn.sherrington_kirkpatrick(n, seed, **where) for seed in range(1, count + 1)]
    nets = [make_net(net, H) for H in models]
    together = arnn.instances._SideBySide(nets)
    energies = arnn.instances._energies_of(models, nets[0])
    optimiser = torch.optim.Adam([p for p in together.parameters() if p.requires_grad], lr=1e-4)
    generators = arnn.instances._Generators(device, range(count))

    def finished_step():
        cost = arnn.instances._step(together, energies, BETA, batch, optimiser, generators)
        return cost.mean(1).tolist()  # the loop of a training waits for these too

    return finished_step


def special_functions_per_second(gpu):
    """What an NVIDIA GPU can do at most: 16 in each cycle of each multiprocessor; kHz to Hz."""
    return 16 * gpu.multi_processor_count * gpu.clock_rate * 1e3


def lattice(n, batch, repeats, net="SK_RS", **_):
    """A step of a net on an open square lattice of n spins with couplings +-1, and on the SK model.

    The step of the lattice costs less: most of its fields are zero for most spins, and conditionals
    of the cavity network depend on few of the later spins.
    """
    length = math.isqrt(n)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(2, n))
    right = [(i, i + 1, signs[0, i]) for i in range(n) if (i + 1) % length]
    down = [(i, i + length, signs[1, i]) for i in range(n - length)]
    couplings = np.zeros((n, n))
    for i, j, value in right + down:
        couplings[i, j] = couplings[j, i] = value
    models = {
        "step": arnn.PairwiseHamiltonian(couplings, dtype=torch.float32),
        "dense": arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32),
    }
    steps = [training_step(make_net(net, H), H, batch) for H in models.values()]
    found = times(*steps, repeats=repeats)
    return {name: summary(seconds) for name, seconds in zip(models, found, strict=True)}


@njit(parallel=True, **compiled.FUSED)
def _bare(rows, passes, out):
    for thread in prange(rows.shape[0]):
        bias = np.float32(0.1)
        for _ in range(passes):
            sk_kernels._log2_sigmoid(rows[thread], bias, np.float32(1.01), out[thread])
            bias += np.float32(1e-3)


def bare_log_sigmoids(count):
    """A function that works out `count` log-sigmoids of a row in the first-level cache."""
    threads = torch.get_num_threads()
    rows = np.random.default_rng(1).normal(size=(threads, sk_kernels.TILE)).astype(np.float32)
    passes = count // rows.size
    out = np.empty_like(rows)

    def run():
        set_num_threads(threads)
        _bare(rows, passes, out)

    return run


def against_forward_passes(net, n, batch, repeats, **_):
    """Incremental sampling, and a full forward pass for each spin."""
    network = make_net(net, arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32))
    ours, passes = times(
        lambda: network.sample(batch),
        lambda: sample_by_forward_passes(network, batch),
        repeats=repeats,
    )
    return {"sample": summary(ours), "forward_passes": summary(passes)}


def against_plain(net, n, batch, repeats, **_):
    """A step in the compiled loops, one in the plain form that is their reference, in turn.

    Of the cavity network also the matrix products that a step cannot do without.
    """
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32)
    network, plain = make_net(net, H), make_net(net, H)
    plain.loops = None
    forms = {"step": network, "plain": plain}
    timed = {name: training_step(form, H, batch) for name, form in forms.items()}
    if isinstance(network, Cavity):
        timed["products"] = lambda: cavity_products(network, batch)
    found = times(*timed.values(), repeats=repeats)
    return {name: summary(seconds) for name, seconds in zip(timed, found, strict=True)}


def cavity_products(network, batch):
    """The products of a step by the couplings and by their squares, forwards and backwards.

    None is needed where the magnetisations, or those before them, are still zero.
    """
    values = torch.rand(network.n, batch)
    count = 2 * (network.depth - 1) + 2 * max(network.depth - 2, 0)
    for i in range(1, network.n):
        for _ in range(count):
            network.couplings[i:, i:] @ values[i:]


def literal_memory(net, n, batch, repeats, **_):
    """The memory of the literal step, in a process of its own."""
    H = arnn.sherrington_kirkpatrick(n, 1, dtype=torch.float32)
    literal = LiteralNetwork(make_net(net, H))
    before = peak_memory()
    times(training_step(literal, H, batch), repeats=repeats)
    return {"memory": peak_memory() - before}


def flips(n, beta, repeats, **_):
    """Proposed flips per second of one Metropolis chain."""
    H = arnn.sherrington_kirkpatrick(n, 1)
    (seconds,) = times(
        lambda: montecarlo.metropolis(H, beta, 100, sweeps=100, burn_in=0, seed=1),
        repeats=repeats,
    )
    return {"flips_per_second": n * 100 * 100 / statistics.median(seconds)}


def start(repeats, **_):
    """Importing arnn beyond torch, and the first use of the compiled loops, in fresh processes."""
    importing = "import time, torch; t = time.perf_counter(); import arnn; "
    using = (
        "net = arnn.nets.SKRSB(arnn.sherrington_kirkpatrick(10, 1), 1, beta=1.0, "
        "dtype=torch.float32); t = time.perf_counter(); "
        "net.sample_for_training(10)[1].sum().backward(); "
    )
    said = "print(time.perf_counter() - t)"

    def seconds(code):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    seconds(importing + using + said)  # fills the cache
    return {
        "import": summary([seconds(importing + said) for _ in range(repeats)]),
        "first_use": summary([seconds(importing + using + said) for _ in range(repeats)]),
    }


KINDS = {
    "net": net_times,
    "literal": against_literal,
    "literal_memory": literal_memory,
    "natural": natural_times,
    "gpu": gpu_times,
    "gpu_instances": instance_times,
    "lattice": lattice,
    "forward_passes": against_forward_passes,
    "plain": against_plain,
    "flips": flips,
    "start": start,
}

if __name__ == "__main__":
    case = json.loads(sys.argv[1])
    torch.set_num_threads(case["threads"])
    print(json.dumps(case | KINDS[case["kind"]](**case)))
