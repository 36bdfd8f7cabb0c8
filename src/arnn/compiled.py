"""What the loops that Numba compiles for the CPU have in common: options, threads, the cache.

Modules of such loops, `arnn.sk_kernels`, `arnn.made_kernels` and `arnn.cavity_kernels`, have a
function `compile_loops` that uses every loop once, and end with a call of
`compile_in_another_process`.
"""

import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numba
import torch
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import get_num_threads, set_num_threads

# Sums may be reordered, which vectors need; NaN and infinity keep their meaning. Without the NumPy
# error model every division would hide a branch. Helpers should be inlined by Numba itself: linked
# as functions of their own they would round differently when compiled and when loaded from the
# cache, which does not notice a change of these options.
FUSED = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy", "cache": True}

_COMPILING = "ARNN_COMPILES_LOOPS"  # set in the process that compiles


def as_array(tensor):
    """The numbers of a tensor on the CPU, contiguous; without a copy where they already are."""
    return tensor.detach().contiguous().numpy()


def _start_threads():
    """Start Numba's threads and return their number; PyTorch's own number stays what it was.

    Both may share one OpenMP library, whose number Numba sets when it starts.
    """
    chosen = torch.get_num_threads()
    most = get_num_threads()
    torch.set_num_threads(chosen)
    return most


_MOST_THREADS = _start_threads()


def use_threads_of_torch():
    """As many threads for Numba's next loop as PyTorch has, if there are so many."""
    set_num_threads(min(torch.get_num_threads(), _MOST_THREADS))


def compile_in_another_process(module, loop):
    """Leave it to another process to compile the loops of a module and to fill the cache, once.

    What Numba has just compiled rounds differently from what it loads from its cache, because the
    latter was optimised once more. Were the first process to compile, a training that it began
    would not go on bit for bit in the next one. The mark says for which source, Numba and processor
    the cache was filled.

    Args:
        module: its name, "arnn.sk_kernels" for example.
        loop: one of its loops, which knows where the cache is.
    """
    source = Path(sys.modules[module].__file__).stat()
    machine = (get_host_cpu_name(), sorted(get_host_cpu_features().items()))
    versions = (numba.__version__, platform.python_version())
    state = repr((source.st_mtime_ns, source.st_size, machine, versions))
    name = f"{module}.{hashlib.sha256(state.encode()).hexdigest()[:16]}.compiled"
    mark = Path(loop.stats.cache_path) / name
    if _COMPILING in os.environ or mark.exists():
        return
    call = [sys.executable, "-c", f"import {module}; {module}.compile_loops()"]
    with suppress(OSError):  # without a folder for the cache every process compiles, all alike
        if subprocess.run(call, env=os.environ | {_COMPILING: "1"}).returncode == 0:
            mark.touch()
