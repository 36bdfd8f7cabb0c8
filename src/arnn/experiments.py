"""The heavy runs of the book: their parameters, checked before any work, and what they do."""

import math
import os
import tempfile
from dataclasses import InitVar, asdict, dataclass
from pathlib import Path

import torch

from . import problems, records, runs, training
from .hamiltonians import (
    PairwiseHamiltonian,
    as_count,
    as_finite,
    as_positive,
    curie_weiss,
    sherrington_kirkpatrick,
)
from .nets import MADE, SKRSB, Cavity, CurieWeissInfinity, CurieWeissN, OneParameter, SingleLayer
from .workflow import (
    given_parameters,
    require_folder_name,
    require_known,
    require_one_of,
    run_once,
)

MODELS = ("curie_weiss", "sherrington_kirkpatrick", "file")
NETS = ("1P", "1L", "MADE", "CW_N", "CW_inf", "SKRSB", "Cavity")
OWN_CONDITIONALS = ("1L", "SKRSB", "Cavity")  # no conditional shares a parameter with another
# What acts for some choices alone: the parameter that chooses, and its values.
GOES_WITH = {
    "instance": ("model", ("sherrington_kirkpatrick",)),
    "couplings": ("model", ("file",)),
    "sign": ("model", ("file",)),
    "base": ("model", ("file",)),
    "coupling": ("model", ("curie_weiss",)),
    "field": ("model", ("curie_weiss",)),
    "depth": ("net", ("MADE", "Cavity")),
    "width": ("net", ("MADE",)),
    "k": ("net", ("SKRSB",)),
    "damping": ("optimiser", ("natural",)),
    "refresh": ("optimiser", ("natural",)),
}
IMPLIED = {"sign": "-"}  # the convention of the package, which results of all models say
# The initial weights of a net; the first is what it gets if init is None.
INITS = {"SKRSB": ("physics", "paper"), "MADE": ("pytorch", "released")}


@dataclass(frozen=True)
class FreeEnergyRun:
    """Train one net on one Hamiltonian, annealed in beta, and estimate its free energy at each.

    The defaults are the schedule of the paper's Sec. IV. `method` "samples" is the score-function
    gradient; "exact" is the noise-free minimum, for nets of the partial sum (1P, CW_inf) and CW_N.

    Raises:
        ValueError: a parameter is of the wrong type or out of range; the sentence names it.
    """

    model: str = "curie_weiss"
    n: int = 20  # of a file it is the number that the file says
    instance: int = 1  # seed of the couplings; Sherrington-Kirkpatrick only
    couplings: str | None = None  # path of a text file (`arnn.problems.read`); model "file" only
    sign: str | None = None  # of its couplings and fields in the energy, "-" or "+"
    base: int | None = None  # the index of its first spin, 0 or 1
    coupling: float = 1.0  # Curie-Weiss only
    field: float = 0.0  # Curie-Weiss only
    net: str = "MADE"
    depth: int = 2  # MADE: masked linear layers; Cavity: iterations
    width: int = 2  # MADE only
    k: int = 0  # SKRSB only: 0 is SK_RS, 1 is SK_1RSB, and so on
    init: str | None = None  # "pytorch" or "released" for MADE, "physics" or "paper" for SKRSB
    method: str = "samples"
    beta_start: float = 0.1
    beta_end: float = 2.0
    beta_step: float = 0.05
    steps: int = 1000
    first_steps: int | None = None
    batch: int = 2000
    optimiser: str = "adam"  # or "natural", for SKRSB, Cavity and 1L
    lr: float | None = None  # 1e-3 for Adam, 0.1 for the natural gradient
    final_lr: float | None = None
    damping: float = 1e-2  # natural gradient only
    refresh: int = 20  # natural gradient only
    tolerance: float | None = None
    samples: int = 20_000
    overlap_betas: tuple = ()
    equilibrium: str | None = None  # a tempering result of the same SK instance: its samples' ln Q
    keep_net: bool = False  # whether the result holds the net of the last beta (`trained_net`)
    seed: int = 0
    dtype: str = "float32"
    device: str = "auto"
    threads: int = 0  # of the CPU; 0 leaves the choice to PyTorch
    output: str = "result"
    hamiltonian: InitVar[PairwiseHamiltonian | None] = None  # what the file holds, if it is known

    def __post_init__(self, hamiltonian):
        for name, allowed in (
            ("model", MODELS),
            ("net", NETS),
            ("method", ("samples", "exact")),
            ("optimiser", tuple(training.STEP_SIZES)),
            ("dtype", ("float32", "float64")),
            ("device", ("auto", "cpu", "cuda")),
        ):
            require_one_of(name, getattr(self, name), allowed)
        self._check_what_goes_with_what()
        if self.model == "file":
            self._read_couplings(hamiltonian)
        for name in ("n", "depth", "width", "steps", "refresh"):
            as_count(name, getattr(self, name))
        for name in ("batch", "samples"):
            as_count(name, getattr(self, name), at_least=2)
        for name in ("k", "instance", "seed", "threads"):
            as_count(name, getattr(self, name), at_least=0)
        for name in ("instance", "seed"):
            if getattr(self, name) >= 2**32:
                raise ValueError(f"{name} must be below 2**32, not {getattr(self, name)}")
        for name in ("beta_start", "beta_end", "beta_step", "damping"):
            as_positive(name, getattr(self, name))
        for name in ("coupling", "field"):
            as_finite(name, getattr(self, name))
        if not isinstance(self.keep_net, bool):
            raise ValueError(f"keep_net must be True or False, not {self.keep_net!r}")
        self._check_optional()
        self._check_combinations()

    def _check_what_goes_with_what(self):
        for name, (chooser, values) in GOES_WITH.items():
            chosen = getattr(self, chooser)
            without_effect = (getattr(type(self), name), IMPLIED.get(name))
            if chosen not in values and getattr(self, name) not in without_effect:
                wanted = " or ".join(f'"{value}"' for value in values)
                raise ValueError(f"{name} goes with {chooser} {wanted}, not {chosen!r}")

    def _read_couplings(self, hamiltonian):
        """Read the file, once: what it holds later is another run."""
        if not isinstance(self.couplings, str):
            raise ValueError(f"couplings must be the path of a file, not {self.couplings!r}")
        if hamiltonian is None:
            hamiltonian = problems.load(self.couplings, sign=self.sign, base=self.base).H
        object.__setattr__(self, "_couplings", hamiltonian)
        object.__setattr__(self, "n", hamiltonian.n)

    def _check_optional(self):
        if self.init is not None:
            require_one_of(f"init of {self.net}", self.init, self._inits())
        if self.first_steps is not None:
            as_count("first_steps", self.first_steps)
        for name in ("lr", "final_lr", "tolerance"):
            if getattr(self, name) is not None:
                as_positive(name, getattr(self, name))
        require_folder_name(self.output)
        if self.equilibrium is not None:
            require_folder_name(self.equilibrium, "equilibrium")

    def _check_combinations(self):
        if self.beta_end < self.beta_start:
            raise ValueError(
                f"beta_end must be at least beta_start, not {self.beta_end} < {self.beta_start}"
            )
        if not isinstance(self.overlap_betas, list | tuple):
            raise ValueError(f"overlap_betas must be a list, not {self.overlap_betas!r}")
        if self.overlap_betas and self.samples < 2 * records.OVERLAP_BLOCKS:
            raise ValueError(
                f"samples must be at least {2 * records.OVERLAP_BLOCKS} for the overlaps that "
                f"overlap_betas asks for, not {self.samples}"
            )
        missing = [beta for beta in self.overlap_betas if beta not in self.betas()]
        if missing:
            raise ValueError(f"overlap_betas must lie on the beta grid, and {missing[0]} does not")
        if self.model != "curie_weiss" and (self.net.startswith("CW") or self.method == "exact"):
            raise ValueError(f'net {self.net} by method "{self.method}" needs model curie_weiss')
        if self.method == "exact" and self.net not in ("1P", "CW_inf"):
            raise ValueError(f'method "exact" trains 1P or CW_inf, not {self.net}')
        if self.optimiser == "natural" and self.net not in OWN_CONDITIONALS:
            raise ValueError(
                f'optimiser "natural" trains {" or ".join(OWN_CONDITIONALS)}, not {self.net}'
            )
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device cuda was asked for, and there is none")

    @classmethod
    def from_namespace(cls, namespace):
        """The run that a notebook's global names describe; an unknown name is an error."""
        given = given_parameters(cls, namespace)
        if not isinstance(given.get("overlap_betas", ()), list | tuple):
            raise ValueError(f"overlap_betas must be a list, not {given['overlap_betas']!r}")
        given["overlap_betas"] = tuple(given.get("overlap_betas", ()))
        return cls(**given)

    def parameters(self):
        """What decides the result, as JSON values: all but where it runs and where it goes."""
        elsewhere = ("output", "threads", "device")
        values = {k: v for k, v in asdict(self).items() if k not in elsewhere}
        # A file is what it holds, wherever it lies and whatever its convention.
        chosen = {"init": self._chosen_init(), "sign": "-", "base": None}
        chosen["lr"] = training.STEP_SIZES[self.optimiser] if self.lr is None else self.lr
        if self.model == "file":
            chosen["couplings"] = self.make_hamiltonian().fingerprint()
        if self.equilibrium is not None:
            chosen["equilibrium"] = runs.verify(self.equilibrium)["sha256"]
        return values | chosen | {"overlap_betas": list(self.overlap_betas)}

    def _inits(self):
        """What init may be; nets without a choice take that of MADE and do not use it."""
        return INITS.get(self.net, INITS["MADE"])

    def _chosen_init(self):
        return self.init or self._inits()[0]

    def betas(self):
        """The inverse temperatures, start, start + step, ... up to and including the end."""
        count = math.floor((self.beta_end - self.beta_start) / self.beta_step + 1e-9) + 1
        return [round(self.beta_start + k * self.beta_step, 10) for k in range(count)]

    def place(self):
        """The torch device that `device` stands for on this machine."""
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self.device == "auto" else self.device)

    def make_hamiltonian(self):
        """The Hamiltonian that the parameters describe."""
        where = {"dtype": getattr(torch, self.dtype), "device": self.place()}
        if self.model == "file":
            return self._couplings.to(**where)
        if self.model == "curie_weiss":
            return curie_weiss(self.n, self.coupling, self.field, **where)
        return sherrington_kirkpatrick(self.n, self.instance, **where)

    def make_net(self):
        """The untrained net that the parameters describe."""
        where = {"dtype": getattr(torch, self.dtype), "device": self.place()}
        model = (self.n, self.beta_start, self.coupling, self.field)
        if self.net == "CW_N":
            return CurieWeissN(*model, **where)
        if self.net == "CW_inf":
            return CurieWeissInfinity(*model, train_shared=True, init="zero", **where)
        if self.net == "1P":
            return OneParameter(self.n, **where)
        if self.net == "Cavity":
            return Cavity(self.make_hamiltonian(), self.depth, beta=self.beta_start)
        generator = torch.Generator().manual_seed(self.seed)
        if self.net == "1L":
            return SingleLayer(self.n, generator=generator, **where)
        options = {"generator": generator, "init": self._chosen_init()} | where
        if self.net == "SKRSB":
            return SKRSB(self.make_hamiltonian(), self.k, beta=self.beta_start, **options)
        return MADE(self.n, self.depth, self.width, **options)


def run_free_energy(settings, *, progress=True):
    """Do a `FreeEnergyRun`, or take up one that was interrupted, and save it; returns the Run.

    A finished result with the same parameters is loaded, not repeated. The checkpoint lies beside
    the output and is removed once the result is saved.

    Raises:
        ValueError: the output cannot be written or holds another run, or the checkpoint does not
            fit.
        FloatingPointError: training diverged; the last good checkpoint is kept.
    """
    return run_once(settings, lambda checkpoint: records.trained(settings, checkpoint, progress))


def free_energy_of(
    source, *, output=None, sign=None, fields=None, base=None, progress=True, **given
):
    """Train a net on couplings of your own, and estimate the free energy at each temperature.

        run = free_energy_of(couplings, net="SKRSB", k=1, optimiser="natural", steps=60)
        run.data["beta"], run.data["f"], run.data["f_error"]

    Energies and f have the unit of the couplings, beta its inverse. Spins are in the order of
    `arnn.problems.load(source).labels`. To go on with the net itself, ask for it:

        run = free_energy_of(couplings, net="SKRSB", optimiser="natural", steps=60, keep_net=True)
        net = trained_net(run, couplings)  # at the last temperature

    Args:
        source: a PairwiseHamiltonian, an array, a SciPy sparse array, a networkx graph, a dimod
            model, or the path of a text file; see `arnn.problems.load`, also for sign and base.
        output: the folder of the result; the couplings are written beside it as OUTPUT.couplings, a
            text file with sign "-" and base 0. With None nothing is kept.
        fields: (n,), in the unit of the couplings; beside arrays only.
        progress: show a bar.
        given: parameters of `FreeEnergyRun`, such as net, beta_start, beta_end, beta_step, steps
            and batch. Without them MADE is trained by the schedule of the paper, which takes long.

    Returns:
        The `runs.Run`; all values are per spin, in arrays with one entry for each temperature. An
        offset of the source's energy is not in them.

    Raises:
        ValueError: the source holds no pairwise model, a parameter is wrong, unknown or without
            effect, or the output cannot be written or holds something else.
        FloatingPointError: training diverged.
    """
    H = problems.load(source, sign=sign, fields=fields, base=base).H
    if output is None:
        with tempfile.TemporaryDirectory() as folder:
            return free_energy_of(H, output=f"{folder}/run", progress=progress, **given)
    if not isinstance(output, str | os.PathLike):
        raise ValueError(f"output must be a folder's name, not {output!r}")
    require_folder_name(os.fspath(output))
    file = Path(output).with_name(Path(output).name + ".couplings")
    own = {"model": "file", "couplings": str(file), "base": 0, "sign": "-"}
    settings = FreeEnergyRun(
        **own, output=os.fspath(output), hamiltonian=H, **_parameters_beside(own, given)
    )

    def work(checkpoint):
        _keep_couplings(file, H)
        return records.trained(settings, checkpoint, progress)

    return run_once(settings, work)


def trained_net(run, source=None, *, sign=None, fields=None, base=None):
    """The net of a finished run with `keep_net`, as it was at the last temperature.

    Args:
        run: the `runs.Run` that `free_energy_of`, `run_free_energy` or `runs.load` returned.
        source, sign, fields, base: the couplings, as in `free_energy_of`, where they are your own.

    Returns:
        An AutoregressiveNet of the run's dtype, on the device that `device="auto"` stands for.

    Raises:
        ValueError: the run has kept no net, or is not one of a net on these couplings.
    """
    state = {
        name.removeprefix(records.NET): torch.from_numpy(values)
        for name, values in run.data.items()
        if name.startswith(records.NET)
    }
    if not state:
        raise ValueError("the run has kept no net; ask for it with keep_net=True")
    parameters, H = run.manifest["parameters"], None
    if (parameters["model"] == "file") != (source is not None):
        needed = "needs its couplings" if source is None else "has no couplings of your own"
        raise ValueError(f"a run of model {parameters['model']} {needed}")
    if source is not None:
        H = problems.load(source, sign=sign, fields=fields, base=base).H
    settings = FreeEnergyRun(**parameters, hamiltonian=H)
    if H is not None and settings.make_hamiltonian().fingerprint() != parameters["couplings"]:
        raise ValueError("the run is one of other couplings or fields")
    net = settings.make_net()
    net.load_state_dict(state)
    return net


def _parameters_beside(own, given):
    """The parameters that a call gives, as plain values.

    Raises:
        ValueError: one is unknown, or the source says it.
    """
    require_known(FreeEnergyRun, given)
    if "field" in given:
        raise ValueError("field is that of the Curie-Weiss model; give `fields`, one for each spin")
    for name in given:
        if name in own or name == "n":
            raise ValueError(f"{name} is not given here, since the source says it")
    return {name: _plain(value) for name, value in given.items()}


def _plain(value):
    """Numbers and arrays of NumPy and PyTorch as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def _keep_couplings(file, H):
    """Write the couplings of a result beside it; a file that is there already stays as it is.

    Raises:
        ValueError: it holds something else, or cannot be written.
    """
    if not file.exists():
        problems.write(file, H)
        return
    try:
        there = problems.load(file, sign="-", base=0).H.fingerprint()
    except ValueError:
        there = None
    if there != H.fingerprint():
        raise ValueError(f"{file} is there and holds something else; choose another output")
