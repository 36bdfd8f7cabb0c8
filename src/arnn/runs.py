"""What a heavy run leaves behind: data.npz and manifest.json in one folder, hashed, no pickle.

A result appears in one step (the folder is renamed into place), so a kill leaves either no result
or a whole one. `load` always verifies the hash before it returns a number.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch

from .checkpoints import write_whole

FORMAT = 1
DATA, MANIFEST = "data.npz", "manifest.json"
KEPT_SAMPLES = 2000  # spins in a result, at each temperature at which it keeps them, at most


class Run(NamedTuple):
    """A finished run: its manifest (a dict) and its data (a dict of arrays)."""

    manifest: dict
    data: dict


def save(path, data, parameters, *, wall_time, device):
    """Save a result as the folder `path`, which must not exist; it appears whole or not at all.

    Args:
        path: the folder to make; its parents are made too.
        data: dict of name to array (no object arrays).
        parameters: dict of what the run was asked for, JSON values, the seed among them.
        wall_time: seconds that the run took.
        device: where it ran, in words.

    Returns:
        The manifest that was written.

    Raises:
        ValueError: the folder exists or cannot be written, on a full disk for instance, or data
            hold objects.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"output {path} already exists; remove it or choose another")
    payload = _npz_bytes(data)
    manifest = {
        "format": FORMAT,
        "parameters": parameters,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "wall_time_s": round(float(wall_time), 1),
        "device": device,
        "commit": _commit(),
        "versions": _versions(),
    }
    require_writable(path)
    staging = path.with_name(f".{path.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed here
    try:
        staging.mkdir()
        write_whole(staging / DATA, payload)
        write_whole(staging / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
        os.rename(staging, path)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise ValueError(f"output {path} cannot be written: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return manifest


def load(path):
    """Load a result and verify it: the manifest is read, the hash compared, then the data opened.

    Raises:
        ValueError: there is no result at `path`, or it is incomplete, damaged or of another format.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    try:
        payload = (path / DATA).read_bytes()
    except OSError:
        raise ValueError(f"result {path} has no readable {DATA}") from None
    digest = hashlib.sha256(payload).hexdigest()
    if digest != manifest["sha256"]:
        raise ValueError(
            f"result {path} is damaged: {DATA} has sha256 {digest[:12]}..., "
            f"its manifest says {str(manifest['sha256'])[:12]}..."
        )
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            return Run(manifest, {name: arrays[name] for name in arrays.files})
    except (ValueError, TypeError, EOFError, BadZipFile):
        raise ValueError(f"result {path} is damaged: {DATA} holds no plain arrays") from None


def verify(path):
    """The manifest of the result at `path`, a dict, once the result is known to be whole.

    Raises:
        ValueError: as `load`.
    """
    return load(path).manifest


def parameters_of(path, defaults=None):
    """The parameters of the result at `path`, a dict; the result is verified.

    `defaults` are the values of parameters that are younger than the result.

    Raises:
        ValueError: as `load`.
    """
    return (defaults or {}) | verify(path)["parameters"]


def finished(path, parameters, defaults=None):
    """Whether `path` holds the verified result of a run with just these parameters.

    `defaults` are the values of parameters that are younger than the result.

    Raises:
        ValueError: it holds the result of a run with other parameters, or a damaged one.
    """
    path = Path(path)
    if not path.exists():
        return False
    found = parameters_of(path, defaults)
    for name in sorted(set(found) | set(parameters)):
        if found.get(name) != parameters.get(name):
            raise ValueError(
                f"output {path} holds another run: its {name} is {found.get(name)!r}, "
                f"not {parameters.get(name)!r}"
            )
    return True


def require_writable(path):
    """Raise a ValueError unless something can be written beside `path`; makes its parents."""
    parent = Path(path).parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parent):
            pass
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"output {path} cannot be written: {parent} is not a folder") from None
    except OSError as error:
        raise ValueError(f"output {path} cannot be written: {error.strerror}") from None


def pack_spins(x):
    """Spins x (samples, n), a tensor of +-1, as bits, uint8 (samples, ceil(n/8)), 1 for up."""
    return np.packbits((x > 0).cpu().numpy(), axis=1)


def unpack_spins(packed, n):
    """The spins (samples, n) of +-1, a float64 tensor, from an array that `pack_spins` made."""
    return torch.from_numpy(np.unpackbits(packed, axis=1, count=n) * 2.0 - 1.0)


def _npz_bytes(data):
    arrays = {name: np.asarray(value) for name, value in data.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"data must be plain arrays, and {name!r} holds Python objects")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _read_manifest(path):
    try:
        text = (path / MANIFEST).read_text()
    except UnicodeDecodeError:
        raise ValueError(f"result {path} is damaged: {MANIFEST} is not text") from None
    except OSError:
        raise ValueError(f"there is no result at {path}: no readable {MANIFEST}") from None
    try:
        manifest = json.loads(text)
        found = manifest["format"], manifest["parameters"], manifest["sha256"]
    except (json.JSONDecodeError, TypeError, KeyError):
        raise ValueError(f"result {path} is damaged: {MANIFEST} is not a manifest") from None
    if found[0] != FORMAT:
        raise ValueError(f"result {path} has format {found[0]}, and this version reads {FORMAT}")
    return manifest


def _versions():
    names = ["arnn", "torch", "numpy", "scipy"]
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _commit():
    """The commit that the code is at, with a + if changed since; "unknown" outside git."""
    here = Path(__file__).parent
    try:
        ask = {"cwd": here, "capture_output": True, "text": True, "check": True}
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **ask).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--", str(here)], **ask).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + "+" * bool(changed)


def describe_device(device):
    """The device in words: the GPU's name, or the number of CPU threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
