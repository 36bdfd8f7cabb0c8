"""arnn: autoregressive networks of Boltzmann distributions of pairwise interacting spins."""

from importlib import import_module

from .hamiltonians import PairwiseHamiltonian, curie_weiss, sherrington_kirkpatrick

_MODULES = (
    "annealing",
    "checks",
    "convolutions",
    "equilibrium",
    "estimators",
    "exact",
    "experiments",
    "figures",
    "instances",
    "inverse",
    "lattices",
    "log_sigmoids",
    "montecarlo",
    "nets",
    "partial_sums",
    "problems",
    "quadrature",
    "replica",
    "runs",
    "training",
)

__all__ = ["PairwiseHamiltonian", "curie_weiss", "sherrington_kirkpatrick", *_MODULES]


def __getattr__(name):
    # Modules load on first use: `import arnn` stays quick, and needs matplotlib only for figures.
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
