"""Pairwise Ising Hamiltonians: the object every other module is about.

The convention, everywhere in the package: spins are +-1, and

    H(x) = - sum_{i<j} J_ij x_i x_j - sum_i h_i x_i

with a symmetric coupling matrix J of zero diagonal. The inverse temperature beta is never in H.
"""

import hashlib
import math

import numpy as np
import torch


def as_positive(name, value):
    """Return `value` as a float, or raise a ValueError that names it unless finite and > 0."""
    return _checked_float(name, value, lambda v: v > 0, "a positive finite number")


def as_finite(name, value):
    """Return `value` as a float, or raise a ValueError that names it unless it is finite."""
    return _checked_float(name, value, lambda v: True, "a finite number")


def as_count(name, value, at_least=1):
    """Return `value` as an int, or raise a ValueError that names it unless >= `at_least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ValueError(f"{name} must be an integer of at least {at_least}, not {value!r}")
    return int(value)


def _checked_float(name, value, accept, wanted):
    try:
        if isinstance(value, str | bool):  # float() would take both
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {wanted}, not {value!r}") from None
    if not math.isfinite(number) or not accept(number):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
    return number


class PairwiseHamiltonian:
    """The energy of n spins with pairwise couplings and fields (Paper, text above Eq. (5)).

    Args:
        couplings: array or tensor (n, n), symmetric, zero diagonal. Energies have the units of J.
        fields: array or tensor (n,), or None for no field.
        dtype, device: of the stored tensors; float64 on the CPU unless chosen otherwise.

    Raises:
        ValueError: the couplings are not a finite symmetric square matrix with zero diagonal, or
            the fields do not fit them.
    """

    def __init__(self, couplings, fields=None, *, dtype=torch.float64, device=None):
        couplings = _as_tensor("couplings", couplings, dtype, device)
        if couplings.ndim != 2 or couplings.shape[0] != couplings.shape[1]:
            raise ValueError(
                f"couplings must be a square matrix, not an array of shape {tuple(couplings.shape)}"
            )
        if couplings.shape[0] < 1:
            raise ValueError("couplings must be for at least one spin, not an empty matrix")
        _require_finite("couplings", couplings)
        if not torch.equal(couplings, couplings.T):
            i, j = torch.nonzero(couplings != couplings.T)[0].tolist()
            one, other = float(couplings[i, j]), float(couplings[j, i])
            cure = "; take (J + J.T) / 2" if math.isclose(one, other, rel_tol=1e-6) else ""
            raise ValueError(
                f"couplings must be symmetric, but J[{i}, {j}] = {one!r} and J[{j}, {i}] = "
                f"{other!r}{cure}"
            )
        if couplings.diagonal().any():
            i = int(torch.nonzero(couplings.diagonal())[0])
            raise ValueError(
                f"couplings must have a zero diagonal, but J[{i}, {i}] = {couplings[i, i]:g}"
            )
        self.couplings = couplings
        self.fields = _checked_fields(fields, couplings.shape[0], dtype, device)

    @property
    def n(self):
        """The number of spins."""
        return self.fields.shape[0]

    @property
    def dtype(self):
        """The floating-point type of couplings and fields."""
        return self.fields.dtype

    @property
    def device(self):
        """Where couplings and fields live."""
        return self.fields.device

    def energy(self, x):
        """H(x), not divided by n, of spins x (batch, n); returns (batch,) in the type of x.

        Raises:
            ValueError: x is not (batch, n).
        """
        self._require_spins(x)
        couplings, fields = self.couplings.to(x), self.fields.to(x)
        return -0.5 * torch.einsum("bi,bi->b", x @ couplings, x) - x @ fields

    def to(self, *, dtype=None, device=None):
        """The same Hamiltonian stored in another type or on another device."""
        return PairwiseHamiltonian(
            self.couplings, self.fields, dtype=dtype or self.dtype, device=device or self.device
        )

    def fingerprint(self):
        """A short hash of couplings and fields, by which checkpoints and results know their H."""
        digest = hashlib.sha256()
        for tensor in (self.couplings, self.fields):
            digest.update(tensor.detach().to("cpu", torch.float64).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _require_spins(self, x):
        if x.ndim != 2 or x.shape[1] != self.n:
            raise ValueError(f"spins must have shape (batch, {self.n}), not {tuple(x.shape)}")

    def __repr__(self):
        return f"{type(self).__name__}(n={self.n})"


class CurieWeiss(PairwiseHamiltonian):
    """The Curie-Weiss model, J_ij = coupling / n: its energy depends on the sum of the spins only.

    The (n, n) matrix is made when somebody asks for it, so that n = 10^5 costs nothing.
    """

    def __init__(self, n, coupling=1.0, field=0.0, *, dtype=torch.float64, device=None):
        n = as_count("n", n)
        self.coupling = as_finite("coupling", coupling)
        self.field = as_finite("field", field)
        self.fields = torch.full((n,), self.field, dtype=dtype, device=device)

    @property
    def couplings(self):
        """The coupling matrix (n, n)."""
        ones = torch.ones(self.n, self.n, dtype=self.dtype, device=self.device)
        return (ones - torch.eye(self.n, dtype=self.dtype, device=self.device)) * (
            self.coupling / self.n
        )

    def energy_of_sum(self, total):
        """H as a function of the sum of all spins (SI Eq. (13)); returns the shape of `total`."""
        return -self.coupling / (2 * self.n) * (total**2 - self.n) - self.field * total

    def energy(self, x):
        """H(x), not divided by n, of spins x (batch, n); returns (batch,) in the type of x.

        Raises:
            ValueError: x is not (batch, n).
        """
        self._require_spins(x)
        return self.energy_of_sum(x.sum(1))

    def to(self, *, dtype=None, device=None):
        """The same model stored in another type or on another device."""
        return CurieWeiss(
            self.n,
            self.coupling,
            self.field,
            dtype=dtype or self.dtype,
            device=device or self.device,
        )

    def __repr__(self):
        return f"CurieWeiss(n={self.n}, coupling={self.coupling:g}, field={self.field:g})"


def curie_weiss(n, coupling=1.0, field=0.0, *, dtype=torch.float64, device=None):
    """The Curie-Weiss model of n spins: J_ij = coupling / n, h_i = field (Paper, Sec. III.A).

    Raises:
        ValueError: n is not a positive integer, or coupling or field is not finite.
    """
    return CurieWeiss(n, coupling, field, dtype=dtype, device=device)


def sherrington_kirkpatrick(n, seed, *, dtype=torch.float64, device=None):
    """The SK model (Paper Eq. (16)): J_ij normal with mean 0 and variance 1/n, no fields.

    The couplings are drawn row by row below the diagonal from NumPy's legacy generator, as in the
    runs released with the paper (Biazzo, h2arnn, 2023), so `seed` names the same instance here.

    Raises:
        ValueError: n is not a positive integer, or seed is not an integer in [0, 2^32).
    """
    n, seed = as_count("n", n), as_count("seed", seed, at_least=0)
    if seed >= 2**32:
        raise ValueError(f"seed must be below 2**32, not {seed}")
    lower = np.zeros((n, n))
    draws = np.random.RandomState(seed).normal(0.0, 1.0 / np.sqrt(n), size=n * (n - 1) // 2)
    lower[np.tril_indices(n, -1)] = draws
    return PairwiseHamiltonian(lower + lower.T, dtype=dtype, device=device)


def _as_tensor(name, values, dtype, device):
    try:
        return torch.as_tensor(values, dtype=dtype, device=device).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be an array of numbers") from None


def _require_finite(name, tensor):
    if not torch.isfinite(tensor).all():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(f"{name} must be finite, but hold NaN or infinity in {kind}")


def _checked_fields(fields, n, dtype, device):
    if fields is None:
        return torch.zeros(n, dtype=dtype, device=device)
    fields = _as_tensor("fields", fields, dtype, device)
    if fields.shape != (n,):
        raise ValueError(f"fields must have shape ({n},), not {tuple(fields.shape)}")
    _require_finite("fields", fields)
    return fields
