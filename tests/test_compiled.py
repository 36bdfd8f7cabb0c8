"""What is common to the compiled loops: threads, the cache, and a machine without the compiler."""

import os
import subprocess
import sys

import pytest

# A net of each module of loops, and one pass through it in both directions.
NETS = {
    "sk_kernels": "SKRSB(arnn.sherrington_kirkpatrick(15, 1), 1, beta=1.0, dtype=torch.float32)",
    "cavity_kernels": "Cavity(arnn.sherrington_kirkpatrick(15, 1), 3, beta=1.0, "
    "dtype=torch.float32)",
    "made_kernels": "MADE(15, 3, 2, dtype=torch.float32)",
}
USE = """
import torch
torch.set_num_threads({threads})
import arnn
from arnn.nets import MADE, SKRSB, Cavity
torch.manual_seed(2)
net = {net}
x, log_prob = net.sample_for_training(300, torch.Generator().manual_seed(1))
((log_prob - log_prob.mean()) * log_prob).sum().backward()
"""
of_each_net = pytest.mark.parametrize("loops", NETS)


def output(code, loops, threads=1, **environment):
    """What a fresh process prints that has used a net."""
    call = [sys.executable, "-c", code.replace("USE", USE.format(net=NETS[loops], threads=threads))]
    environment = os.environ | environment
    return subprocess.run(call, env=environment, capture_output=True, text=True, check=True).stdout


@of_each_net
@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_of_torch_stays(threads, loops):
    code = """
USE
import numba
print(torch.get_num_threads(), min(2, numba.get_num_threads()))
"""
    found = output(code, loops, threads, NUMBA_NUM_THREADS="2", OMP_NUM_THREADS="2")
    assert found.split() == [str(threads), str(threads)]


@of_each_net
def test_without_the_compiler_the_plain_form_takes_over_and_says_so_once(loops):
    code = """
import sys, warnings
sys.modules["numba"] = None
caught = []
warnings.showwarning = lambda message, *_: caught.append(message)
USE
net.log_prob(x).sum().backward()
print(len(caught), caught[0])
"""
    found = output(code, loops)
    assert found.startswith("1 Numba is missing")
    assert f"arnn.{loops} does not load" in found


@of_each_net
def test_the_process_that_compiles_has_the_bits_of_those_that_load(tmp_path, loops):
    """Numba alone rounds differently in the two; a resumed training would notice."""
    code = """
USE
import hashlib
gradients = b"".join(p.grad.numpy().tobytes() for p in net.parameters() if p.requires_grad)
print(hashlib.sha256(gradients).hexdigest())
"""
    first, second = (output(code, loops, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert list(tmp_path.rglob(f"arnn.{loops}.*.compiled"))
    assert first == second
