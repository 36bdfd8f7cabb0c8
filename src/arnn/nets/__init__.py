"""Autoregressive networks of spins: exact ones, derived ones, and the baselines."""

from .base import AutoregressiveNet, SumNet
from .baselines import MADE, OneParameter, SingleLayer
from .cavity import Cavity
from .curie_weiss import CurieWeissInfinity, CurieWeissN, limit_weights
from .h2 import H2ARNN
from .sk import SKRSB
from .transfer import TransferMatrix

__all__ = [
    "H2ARNN",
    "MADE",
    "SKRSB",
    "AutoregressiveNet",
    "Cavity",
    "CurieWeissInfinity",
    "CurieWeissN",
    "OneParameter",
    "SingleLayer",
    "SumNet",
    "TransferMatrix",
    "limit_weights",
]
