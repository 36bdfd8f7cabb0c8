"""Results on disk: whole or absent, verified before use, and never a pickle."""

import hashlib
import io
import json
import pickle

import numpy as np
import pytest

from arnn import runs

PARAMETERS = {"n": 20, "net": "MADE", "seed": 0, "overlap_betas": [1.3]}
DATA = {
    "beta": np.array([0.1, 0.2]),
    "curve": np.array([[1.0, np.nan], [0.5, 0.25]], dtype=np.float32),
    "count": np.arange(3),
}


def save(path, data=DATA, parameters=PARAMETERS, wall_time=1.26):
    return runs.save(path, data, parameters, wall_time=wall_time, device="cpu, 1 threads")


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def edit_manifest(path, **changes):
    manifest = json.loads((path / "manifest.json").read_text()) | changes
    (path / "manifest.json").write_text(json.dumps(manifest))


def replace_data(path, payload):
    """Put other data in place, with a manifest that vouches for them."""
    (path / "data.npz").write_bytes(payload)
    edit_manifest(path, sha256=hashlib.sha256(payload).hexdigest())


def test_what_was_saved_is_what_is_loaded(tmp_path):
    path = tmp_path / "new" / "folder" / "result"
    written = save(path)
    manifest, data = runs.load(path)
    assert manifest == written == runs.verify(path)
    assert manifest["parameters"] == PARAMETERS
    assert manifest["wall_time_s"] == 1.3
    assert manifest["device"] == "cpu, 1 threads"
    assert {"python", "torch", "numpy", "scipy", "arnn"} == manifest["versions"].keys()
    assert manifest["commit"]
    assert data.keys() == DATA.keys()
    for name, array in DATA.items():
        assert data[name].dtype == array.dtype
        assert np.array_equal(data[name], array, equal_nan=True)
    assert left_in(path) == ["data.npz", "manifest.json"]
    assert left_in(path.parent) == ["result", "result/data.npz", "result/manifest.json"]


def test_the_hash_is_of_the_data_alone(tmp_path):
    first = save(tmp_path / "first")
    again = save(tmp_path / "again", parameters={"n": 3}, wall_time=99)
    other = save(tmp_path / "other", DATA | {"count": np.arange(3) + 1})
    assert first["sha256"] == again["sha256"] != other["sha256"]
    stored = hashlib.sha256((tmp_path / "first" / "data.npz").read_bytes()).hexdigest()
    assert first["sha256"] == stored


def flip_a_bit(payload):
    middle = len(payload) // 2
    return payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda b: b[:-1], lambda b: b"", lambda b: b + b" "]
)
def test_damaged_data_are_refused(tmp_path, damage):
    path = tmp_path / "result"
    save(path)
    (path / "data.npz").write_bytes(damage((path / "data.npz").read_bytes()))
    message = r"result .*result is damaged: data.npz has sha256 \w{12}..., its manifest says \w{12}"
    for use in (runs.load, runs.verify, lambda p: runs.finished(p, PARAMETERS)):
        with pytest.raises(ValueError, match=message):
            use(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "manifest.json is not a manifest"),
        (b'{"format": 1, "parame', "manifest.json is not a manifest"),
        (b"[1, 2]", "manifest.json is not a manifest"),
        (b'"text"', "manifest.json is not a manifest"),
        (b'{"format": 1, "parameters": {}}', "manifest.json is not a manifest"),
        (b"\xff\xfe\x00", "manifest.json is not text"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, text, message):
    path = tmp_path / "result"
    save(path)
    (path / "manifest.json").write_bytes(text)
    with pytest.raises(ValueError, match=f"result .* is damaged: {message}"):
        runs.load(path)


@pytest.mark.parametrize("found", [2, "1", None])
def test_another_format_is_refused(tmp_path, found):
    path = tmp_path / "result"
    save(path)
    edit_manifest(path, format=found)
    with pytest.raises(ValueError, match=f"has format {found}, and this version reads 1"):
        runs.load(path)


def test_what_is_missing_is_named(tmp_path):
    path = tmp_path / "result"
    with pytest.raises(ValueError, match=r"there is no result at .*: no readable manifest.json"):
        runs.load(path)
    assert runs.finished(path, PARAMETERS) is False
    save(path)
    (path / "data.npz").unlink()
    with pytest.raises(ValueError, match=r"result .* has no readable data.npz"):
        runs.load(path)
    (path / "manifest.json").unlink()
    with pytest.raises(ValueError, match="there is no result"):
        runs.load(path)


# ---- No pickle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [[{"a": 1}], [None], object(), np.array([1, "x"], dtype=object)])
def test_objects_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="must be plain arrays, and 'extra' holds Python objects"):
        save(tmp_path / "result", {**DATA, "extra": value})
    assert left_in(tmp_path) == []


class Bomb:
    """An object whose unpickling would show."""

    went_off = False

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


NO_ARRAYS = "result .* is damaged: data.npz holds no plain arrays"


def test_a_pickle_in_a_result_is_not_opened(tmp_path):
    path = tmp_path / "result"
    save(path)
    replace_data(path, npz(extra=np.array([Bomb()], dtype=object)))
    with pytest.raises(ValueError, match=NO_ARRAYS):
        runs.load(path)
    assert not Bomb.went_off


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize("payload", [pickle.dumps(Bomb()), b"", b"text", b"PK\x03\x04", npy()])
def test_what_is_no_archive_is_not_opened(tmp_path, payload):
    path = tmp_path / "result"
    save(path)
    replace_data(path, payload)
    with pytest.raises(ValueError, match=NO_ARRAYS):
        runs.load(path)
    assert not Bomb.went_off


# ---- Outputs that cannot be written ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["result", "folder", "file"])
def test_what_exists_is_never_written_over(tmp_path, kind):
    path = tmp_path / "result"
    {"result": save, "folder": type(path).mkdir, "file": type(path).touch}[kind](path)
    before = left_in(tmp_path)
    with pytest.raises(ValueError, match=r"output .*result already exists; remove it or choose"):
        save(path, DATA | {"count": np.arange(9)})
    assert left_in(tmp_path) == before


def test_an_output_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "result", tmp_path / "file" / "deeper" / "result"):
        assert runs.finished(path, PARAMETERS) is False
        refused = pytest.raises(ValueError, match=r"output .*result cannot be written: .* is not a")
        with refused:
            save(path)
        with refused:
            runs.require_writable(path)
    assert left_in(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace", "rename", "mkdir"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch, step, error):
    def fail(*_):
        raise error

    said = "cannot be written: No space left on device$" if isinstance(error, OSError) else None
    with monkeypatch.context() as patch:
        patch.setattr(f"os.{step}", fail)
        with pytest.raises(ValueError if said else KeyboardInterrupt, match=said):
            save(tmp_path / "result")
    assert left_in(tmp_path) == []
    save(tmp_path / "result")


def test_the_data_are_there_before_the_result_is(tmp_path, monkeypatch):
    """The folder appears with both files in it: until the rename there is no `result`."""
    seen, rename = [], runs.os.rename

    def watch(source, target):
        seen.append((sorted(file.name for file in source.iterdir()), target.exists()))
        rename(source, target)

    monkeypatch.setattr("arnn.runs.os.rename", watch)
    save(tmp_path / "result")
    assert seen == [(["data.npz", "manifest.json"], False)]


# ---- Which run it is ---------------------------------------------------------------------------


def test_a_finished_run_is_known_by_its_parameters(tmp_path):
    path = tmp_path / "result"
    save(path)
    assert runs.finished(path, dict(PARAMETERS)) is True
    for changes, message in (
        ({"n": 21}, "holds another run: its n is 20, not 21"),
        ({"net": "1L"}, "holds another run: its net is 'MADE', not '1L'"),
        ({"new": 5}, "holds another run: its new is None, not 5"),
    ):
        with pytest.raises(ValueError, match=message):
            runs.finished(path, PARAMETERS | changes)
    fewer = {name: value for name, value in PARAMETERS.items() if name != "seed"}
    with pytest.raises(ValueError, match="holds another run: its seed is 0, not None"):
        runs.finished(path, fewer)


def test_a_result_older_than_a_parameter_had_its_default(tmp_path):
    path = tmp_path / "result"
    save(path)
    defaults = PARAMETERS | {"seed": 7, "init": "pytorch"}
    assert runs.finished(path, PARAMETERS | {"init": "pytorch"}, defaults) is True
    with pytest.raises(ValueError, match="its init is 'pytorch', not 'released'"):
        runs.finished(path, PARAMETERS | {"init": "released"}, defaults)
    with pytest.raises(ValueError, match="its seed is 0, not 7"):  # stored, so not the default
        runs.finished(path, defaults, defaults)


def test_the_device_is_described_in_words():
    assert runs.describe_device("cpu").startswith("cpu, ")
