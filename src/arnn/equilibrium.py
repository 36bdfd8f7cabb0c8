"""Configurations in equilibrium, as a tempering run keeps them, for trained nets to be judged on.

The samples of a net do not show what it never draws. Its probabilities of configurations that were
drawn otherwise do, by the divergence of Q from the Boltzmann distribution,
`arnn.estimators.forward_divergence`.
"""

from . import runs
from .tempering_run import TemperingRun


def kept_spins(path, H):
    """The equilibrium samples in the result of a tempering run.

    Args:
        path: folder of the result.
        H: the PairwiseHamiltonian whose samples they must be.

    Returns:
        A dict from each beta that the result has samples of to its spins (samples, n) of +-1,
        float64, replica by replica.

    Raises:
        ValueError: there is no whole result, it is of another kind or of other couplings, or it
            keeps no samples.
    """
    manifest, data = runs.load(path)
    if "ladder" not in data:
        raise ValueError(f"equilibrium {path} is not the result of a tempering run")
    known = {name: manifest["parameters"][name] for name in ("n", "instance")}
    sampled = TemperingRun(**known).make_hamiltonian().to(dtype=H.dtype)
    if sampled.fingerprint() != H.fingerprint():
        raise ValueError(f"equilibrium {path} is of other couplings than the training")
    if "kept_spins" not in data:
        raise ValueError(f"equilibrium {path} keeps no samples")
    betas = map(float, data["overlap_beta"])
    spins = (runs.unpack_spins(packed, H.n) for packed in data["kept_spins"])
    return dict(zip(betas, spins, strict=True))
