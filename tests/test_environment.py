"""requirements.txt and environment.yml against what is installed."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# What pip itself brings, and this package: neither belongs in a list of pins.
UNPINNED = {"pip", "arnn"}
# What PyTorch brings along in its builds for NVIDIA GPUs alone.
OF_CUDA = re.compile(r"nvidia-.+|cuda-.+|triton")


def pins():
    """Name -> version for each line of requirements.txt; every line must be an exact pin."""
    found = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
            assert match, f"requirements.txt: {line!r} is not an exact pin 'name==version'"
            name = canonicalize_name(match[1])
            assert name not in found, f"requirements.txt pins {name} twice"
            found[name] = match[2]
    return found


def installed():
    """Name -> version of all that is installed, without local labels such as torch's "+cpu"."""
    return {
        canonicalize_name(package.name): package.version.split("+")[0]
        for package in importlib.metadata.distributions()
    }


def test_every_pin_is_what_is_installed():
    have = installed()
    wrong = {n: (v, have.get(n)) for n, v in pins().items() if have.get(n) != v}
    assert not wrong, f"pinned and installed versions differ, run make: {wrong}"


def test_everything_installed_is_pinned():
    unpinned = installed().keys() - pins().keys() - UNPINNED
    assert {name for name in unpinned if not OF_CUDA.fullmatch(name)} == set()


def test_every_direct_need_is_pinned_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for text in (text for group in groups for text in group):
        need = Requirement(text)
        version = pins().get(canonicalize_name(need.name))
        assert version, f"pyproject.toml needs {need.name}, which requirements.txt does not pin"
        assert need.specifier.contains(version), f"requirements.txt pins {version}, not {text}"


def test_a_group_of_tests_stays_on_one_worker(tmp_path):
    """Otherwise each worker opens each page of the site, and nothing but the time tells."""
    (tmp_path / "test_group.py").write_text(
        "import os\nimport pathlib\nimport pytest\n"
        "page = lambda p: pytest.param(p, marks=pytest.mark.xdist_group(p))\n"
        "@pytest.mark.parametrize('test', range(4))\n"
        "@pytest.mark.parametrize('name', [page('a'), page('b')])\n"
        "def test(name, test):\n"
        "    pathlib.Path(f'{name}-{os.getpid()}').touch()\n"
    )
    call = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "test_group.py"]
    subprocess.run(call, cwd=tmp_path, check=True, capture_output=True)
    assert sorted(path.name[:2] for path in tmp_path.glob("?-*")) == ["a-", "b-"]


def test_python_is_the_one_that_everything_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.12"
    assert sys.version_info[:2] == (3, 11)


def test_conda_environment_adds_no_versions_of_its_own():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r requirements.txt", "-e ."]}


def test_this_package_is_the_one_in_src():
    import arnn

    assert Path(arnn.__file__).resolve().is_relative_to(ROOT / "src")
