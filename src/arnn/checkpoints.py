"""Checkpoints: one file with the whole state of a run, from which it goes on bit for bit.

The file is replaced in one step, so a kill leaves the old state or the new one, never a part. It
knows of which run it is, and is refused by any other.
"""

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path

import torch

FORMAT = 2
DIGEST = 32  # bytes of SHA-256 that stand before the content of the file


def model_identity(H):
    """The entries of a checkpoint's identity that name a Hamiltonian, (J, h) to the last bit."""
    return {"hamiltonian": f"{H!r} {H.fingerprint()}"}


class Checkpoint:
    """One file with the whole state of a run, replaced in one step; or nothing at all.

    Args:
        path: the file; with None `load` finds nothing and `save` does nothing.
        net: the net that is trained; its repr and dtype must agree for the file to be of this run.
            None for a run without one, here and below.
        identity: dict of numbers, strings, None and lists of them that must agree too.
    """

    def __init__(self, path, net, identity):
        self.path = None if path is None else Path(path)
        self.identity = identity | {"format": FORMAT}
        if net is not None:
            self.identity["net"] = f"{net!r} in {net.dtype}"

    def load(self, net=None, optimiser=None, generator=None):
        """Restore the run in place and return its records so far; [] where there is no file.

        Raises:
            ValueError: the file is damaged or of another run, or its folder does not exist.
        """
        if self.path is None:
            return []
        if not self.path.parent.is_dir():  # said now, not after the first temperature
            raise ValueError(f"checkpoint {self.path} cannot be written: its folder does not exist")
        if not self.path.exists():
            return []
        state = self._read()
        for key, wanted in self.identity.items():
            found = state["identity"].get(key)
            if found != wanted:
                raise ValueError(
                    f"checkpoint {self.path} is of another run: its {key} is {found}, not {wanted}"
                )
        if net is not None:
            net.load_state_dict(state["net"])
        if optimiser:
            optimiser.load_state_dict(state["optimiser"])
        if generator:
            generator.set_state(state["generator"])
        return state["records"]

    def _read(self):
        try:
            state = unsealed(self.path.read_bytes())
            if not isinstance(state["identity"], dict):
                raise TypeError
            return state
        except Exception as error:  # torch raises many kinds for what is no checkpoint
            raise ValueError(
                f"checkpoint {self.path} is damaged or no checkpoint; remove it to start anew"
            ) from error

    def save(self, records, net=None, optimiser=None, generator=None):
        """Write the file whole: `records` is a list of dicts of numbers and tensors.

        Raises:
            ValueError: it cannot be written, on a full disk for instance; the old one stays.
        """
        if self.path is None:
            return
        state = {"identity": self.identity, "records": records}
        if net is not None:
            state["net"] = net.state_dict()
        if optimiser:
            state["optimiser"] = optimiser.state_dict()
        if generator:
            state["generator"] = generator.get_state()
        write_whole(self.path, sealed(state))


def sealed(state):
    """The bytes of a checkpoint: the hash of what follows, then the state as torch saves it."""
    content = io.BytesIO()
    torch.save(state, content)
    return hashlib.sha256(content.getbuffer()).digest() + content.getbuffer()


def unsealed(file):
    """The state in the bytes of a checkpoint.

    Raises:
        ValueError: they have another hash; torch itself overlooks changed bits.
        Exception: of many kinds, if the content was never saved by torch, or holds Python objects.
    """
    digest, content = file[:DIGEST], file[DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("the content has another hash")
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def write_whole(path, content):
    """Write bytes to the file `path` in one step: it then holds them all, or what it held before.

    Raises:
        ValueError: they cannot be written; the sentence says why.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):  # a folder of that name is not ours to remove
            partial.unlink()
        raise ValueError(f"{path} cannot be written: {error.strerror}") from None
