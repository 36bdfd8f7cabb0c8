"""What the heavy runs share: parameters checked by name before any work, done once, resumed.

A run is a frozen dataclass with the fields `output`, `threads` and whatever decides its result,
and the methods `parameters()` (a dict of JSON values, all that decides the result) and `place()`
(the torch device that it runs on).
"""

import time
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from . import runs

PLAIN = str | int | float | list | dict | tuple | None


def require_one_of(name, value, allowed):
    """Raise a ValueError that names the parameter unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def require_folder_name(folder, name="output"):
    """Raise a ValueError that names the parameter unless `folder` is a text that can name one."""
    if not isinstance(folder, str) or Path(folder).name in ("", ".."):
        raise ValueError(f"{name} must be a folder's name, not {folder!r}")


def given_parameters(run_class, namespace):
    """The parameters of a dataclass that a notebook's global names give; others are an error.

    papermill only warns of a parameter that the notebook does not have, so it is caught here.

    Raises:
        ValueError: a global name with a plain value is no parameter; the sentence names it.
    """
    given = {
        name: value
        for name, value in namespace.items()
        if isinstance(value, PLAIN) and not name.startswith("_") and name not in ("In", "Out")
    }
    require_known(run_class, given)
    return given


def require_known(run_class, given):
    """Raise a ValueError that names the first of the given names that is no parameter."""
    known = {field.name for field in fields(run_class)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f"unknown parameter {unknown[0]!r}; the parameters are {', '.join(sorted(known))}"
        )


def run_once(settings, work):
    """Do a run, or take up one that was interrupted, and save it; returns the `runs.Run`.

    A finished result with the same parameters is loaded, not repeated. The checkpoint lies beside
    the output and is removed once the result is saved.

    Args:
        settings: the run.
        work: called as work(checkpoint), a Path; returns the data, a dict of arrays, and the
            seconds that it took in all, the time before an interruption included.

    Raises:
        ValueError: the output cannot be written or holds another run, another process is at work
            on it, or the checkpoint does not fit.
    """
    output = Path(settings.output)
    wanted = settings.parameters(), type(settings)().parameters()
    if not runs.finished(output, *wanted):
        runs.require_writable(output)
        with _alone(output):
            if not runs.finished(output, *wanted):  # nor by another process in between
                _work_and_save(settings, work, output)
    with suppress(OSError):  # the folder of a finished result may be read-only
        for ending in (".checkpoint", ".lock"):  # a kill after saving leaves the lock, too
            output.with_name(output.name + ending).unlink(missing_ok=True)
    return runs.load(output)


@contextmanager
def _alone(output):
    """Hold the lock of a result, which the system gives back after a kill.

    Raises:
        ValueError: another process holds it.
    """
    lock = FileLock(output.with_name(output.name + ".lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another process is at work on {output}") from None
    try:
        yield
    finally:
        # Removed while it is held: whoever comes later makes a new one.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _work_and_save(settings, work, output):
    if settings.threads:
        torch.set_num_threads(settings.threads)
    checkpoint = output.with_name(output.name + ".checkpoint")
    started = time.monotonic()
    data, seconds = work(checkpoint)
    runs.save(
        output,
        data,
        settings.parameters(),
        wall_time=max(seconds, time.monotonic() - started),
        device=runs.describe_device(settings.place()),
    )
