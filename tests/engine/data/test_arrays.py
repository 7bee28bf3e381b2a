"""Arrays as other tools write them: converted where nothing is lost, and said; else refused with the true cause."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile

import numpy as np
import pytest

from engine import data
from engine.data import look
from engine.errors import RequestError
from tests.engine.data.sources import arrays, load, notes, refusal, shades, well_formed

PLAIN = arrays()


def written(path, **replaced):
    content = {**PLAIN, **replaced}
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def both(change):
    return {name: change(PLAIN[name]) for name in ("x_train", "x_test")}


def labels(change):
    return {name: change(PLAIN[name]) for name in ("y_train", "y_test")}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return load(written(tmp_path_factory.mktemp("plain") / "mine.npz")).fingerprint


LOSSLESS = {
    "floats from 0 to 1": (both(lambda x: (x / 255).astype(np.float32)), "float32 from 0 to 1 read as uint8"),
    "just above 1": (
        both(lambda x: (x / 255).astype(np.float32) * np.float32(1.0000002)),
        "float32 from 0 to 1 read",
    ),
    "half floats": (both(lambda x: (x / 255).astype(np.float16)), "float16 from 0 to 1 read as uint8"),
    "doubles from 0 to 255": (both(lambda x: x.astype(float)), "float64 from 0 to 255 read as uint8"),
    "floats from -1 to 1": (both(lambda x: (x / 127.5 - 1).astype(np.float32)), "float32 from -1 to 1 read as uint8"),
    "whole numbers": (both(lambda x: x.astype(np.int64)), "int64 from 0 to 255 read as uint8"),
    "channels first": (both(lambda x: x.transpose(0, 3, 1, 2)), ""),
    "opaque": (both(lambda x: np.concatenate([x, np.full_like(x[..., :1], 255)], axis=3)), "RGBA read as RGB"),
    "one-hot rows": (labels(lambda y: np.eye(3)[y]), "one-hot rows of 3 read as the numbers"),
    "booleans": (labels(lambda y: np.eye(3, dtype=bool)[y]), "one-hot rows of 3"),
    "a column": (labels(lambda y: y[:, None].astype(np.uint8)), ""),
    "a row": (labels(lambda y: y[None]), ""),
    "whole floats": (labels(lambda y: y.astype(np.float32)), "float32 read as whole numbers"),
    "from 1": (labels(lambda y: y + 1), "labels 1 to 3 read as classes 0 to 2"),
    "names": (labels(lambda y: np.array(["ant", "bee", "cat"])[y]), "3 classes, in the order of their names"),
    "bytes": (labels(lambda y: np.array([b"ant", b"bee", b"cat"])[y]), "hold names"),
    "numbers as names": (labels(lambda y: np.array(["2", "9", "10"])[y]), "hold names"),
}


@pytest.mark.parametrize("case", LOSSLESS)
def test_what_loses_nothing_is_converted_and_said(tmp_path, straight, case):
    replaced, told = LOSSLESS[case]
    found = well_formed(load(written(tmp_path / "mine.npz", **replaced)))
    assert found.fingerprint == straight
    assert told in notes(found, warning=False)
    assert notes(found, warning=True) == ""
    assert bool(found.notes) == bool(told)


def test_the_names_of_classes_are_what_the_labels_were(tmp_path):
    for case, names in (
        ("from 1", ("1", "2", "3")),
        ("names", ("ant", "bee", "cat")),
        ("numbers as names", ("2", "9", "10")),
    ):
        assert load(written(tmp_path / "mine.npz", **LOSSLESS[case][0])).class_names == names
    named = load(written(tmp_path / "mine.npz", **LOSSLESS["from 1"][0], class_names=np.array(["x", "y", "z"])))
    assert named.class_names == ("x", "y", "z")


def test_rows_of_gray_images(tmp_path):
    gray = {name: array[:, :10, :10, 0] for name, array in both(lambda x: x).items()}
    rows = {name: array.reshape(len(array), 100) for name, array in gray.items()}
    found = load(written(tmp_path / "rows.npz", **rows))
    assert found.fingerprint == load(written(tmp_path / "gray.npz", **gray)).fingerprint
    assert "rows of 100 read as gray images of 10x10 pixels" in notes(found)


def test_rounding_is_a_warning(tmp_path):
    found = load(written(tmp_path / "mine.npz", **both(lambda x: np.clip(x / 255 + 0.001, 0, 1).astype(np.float32))))
    assert "rounded, by at most 0.2" in notes(found, warning=True)


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (both(lambda x: (x / 255 - 0.5) / 0.2), "(normalized?); wants pixels, as uint8 0-255"),
        (both(lambda x: (x / 255 - 0.47).astype(np.float32)), "normalized by a rule that it does not tell"),
        (both(lambda x: x / 150), "from 0 to 1.7, neither 0 to 1 nor 0 to 255"),
        (both(lambda x: x / 25.5), "from 0 to 10, neither 0 to 1 nor 0 to 255"),
        (both(lambda x: x.astype(np.uint16) * 257), "is uint16 from 0 to 65535; wants pixels"),
        (both(lambda x: x * np.float32("nan")), "holds NaN or infinite values"),
        (both(lambda x: np.full(x.shape, "x")), "x_train is <U1; wants images"),
        (
            {"x_train": PLAIN["x_train"] / np.float32(255)},
            "not on one scale: x_train from 0 to 1, x_test from 0 to 255",
        ),
        (both(lambda x: np.concatenate([x, x[..., :1]], axis=3)), "partly transparent"),
        (both(lambda x: x.reshape(len(x), -1)), "images as flat rows, whose order of pixels and colors is not known"),
        (labels(lambda y: np.eye(3)[y] * 0.7 + 0.1), "y_train has shape 30x3 and is not one-hot"),
        (labels(lambda y: y + 0.5), "y_train is float64; wants integers"),
        ({"y_train": np.array(["a", "b", "c"] * 10), "y_test": np.array(["a", "d", "e"] * 4)}, "does not: d, e"),
        ({"y_train": np.array(["a", "b", "c"] * 10)}, "y_train is <U1; wants integers"),
        (both(lambda x: np.array([{}] * len(x))), "x_train: it holds Python objects, which could execute code"),
    ],
)
def test_what_would_lose_something_is_refused_with_the_cause(tmp_path, replaced, told):
    path = written(tmp_path / "mine.npz", **replaced)
    message = refusal(path)
    assert told in message
    assert str(path) in message


# --- other tools' names ---

NAMES = {
    "Keras": ("train_images", "train_labels", "test_images", "test_labels"),
    "scikit-learn": ("X_train", "y_train", "X_test", "y_test"),
    "turned": ("trainX", "trainY", "testX", "testY"),
    "data": ("train_data", "train_targets", "test_data", "test_targets"),
    "short": ("x_tr", "y_tr", "x_te", "y_te"),
    "val": ("xtrain", "ytrain", "xval", "yval"),
    "validation": ("images_train", "labels_train", "images_validation", "labels_validation"),
}


@pytest.mark.parametrize("tool", NAMES)
def test_arrays_by_other_names(tmp_path, straight, tool):
    np.savez(tmp_path / "other.npz", **dict(zip(NAMES[tool], PLAIN.values(), strict=True)))
    found = load(tmp_path / "other.npz")
    assert found.fingerprint == straight
    train, test = f"{NAMES[tool][0]} and {NAMES[tool][1]} train", f"{NAMES[tool][2]} and {NAMES[tool][3]} test"
    assert f"{train}, {test}" in notes(found, warning=False)


def test_medmnist(tmp_path, straight):
    parts = {"train": ("x_train", "y_train"), "val": ("x_test", "y_test"), "test": ("x_test", "y_test")}
    content = {}
    for part, (images, numbers) in parts.items():
        content |= {f"{part}_images": PLAIN[images], f"{part}_labels": PLAIN[numbers][:, None].astype(np.uint8)}
    np.savez(tmp_path / "pathmnist.npz", **content)
    found = load(tmp_path / "pathmnist.npz")
    assert found.fingerprint == straight
    assert "left out the arrays val_images, val_labels" in notes(found)


@pytest.mark.parametrize("names", [("data", "labels"), ("x", "y"), ("images", "targets"), ("X_train", "y_train")])
def test_one_part_is_split(tmp_path, names):
    np.savez(tmp_path / "one.npz", **dict(zip(names, (PLAIN["x_train"], PLAIN["y_train"]), strict=True)))
    found = well_formed(load(tmp_path / "one.npz"))
    assert found.y_train.bincount().tolist() == [8, 8, 8]
    assert found.y_test.bincount().tolist() == [2, 2, 2]
    assert "a fifth of every class tests" in notes(found)
    assert len(load(tmp_path / "one.npz", train_images=12, test_images=3).x_train) == 12


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a", "b", "c", "d"), "lacks x_train, y_train, x_test, y_test; wants the arrays x_train, y_train, x_test, "),
        (("arr_0", "arr_1", "arr_2", "arr_3"), "it holds arr_0, arr_1, arr_2, arr_3"),
        (("train_images", "X_train", "y_train", "z"), "train_images and X_train could each be x_train"),
        (("x_train", "y_train", "x_test", "z"), "lacks y_test"),
        (
            ("train_images", "train_labels", "test_images"),
            "lacks y_test; wants the arrays x_train, y_train",
        ),
        (("train_images", "test_images", "test_labels"), "lacks y_train; wants"),
    ],
)
def test_arrays_that_cannot_be_told(tmp_path, names, told):
    np.savez(tmp_path / "mine.npz", **dict.fromkeys(names, np.zeros((3, 9, 9), np.uint8)))
    assert told in refusal(tmp_path / "mine.npz")


# --- files that are something else ---


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a/1.png"))
    return buffer.getvalue()


def plain_tar():
    return gzip.decompress(tar())


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/1.png", b"x")
        file.writestr("b/1.png", b"x")
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


STRANGE = {
    "page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
    "old page": (b"<head><title>x</title></head><HTML>", "a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS"),
    "json": (b'{"message": "Not Found"}', "a JSON text"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML text"),
    "empty": (b"", "an empty file"),
    "text": (b"hello there", "a text file"),
    "npy": (npy(), "a single array (.npy)"),
    "pickle": (b"\x80\x04\x95abc", "a Python pickle, which could execute code"),
    "zip": (archive(), "a zip archive of 2 files: unpack it and give the folder"),
    "tar": (plain_tar(), "a tar archive: unpack it and give the folder"),
    "tar.gz": (tar(), "a tar archive (gzip): unpack it and give the folder"),
    "gzip": (gzip.compress(b"x"), "a file compressed by gzip"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file"),
    "half a zip": (archive()[:60], "cut short after 60 bytes"),
    "bytes": (bytes(range(200, 250)), "beginning with the bytes c8 c9 ca cb"),
}


@pytest.mark.parametrize("name", ["given.npz", "given.bin"])
@pytest.mark.parametrize("kind", STRANGE)
def test_a_file_is_named_for_what_it_is(tmp_path, kind, name):
    content, told = STRANGE[kind]
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert told in message
    assert name in message


@pytest.mark.parametrize("name", ["mine.NPZ", "mine.Npz", "mine", "mine.zip"])
def test_a_npz_is_one_by_its_content(tmp_path, straight, name):
    written(tmp_path / "mine.npz").rename(tmp_path / name)
    data.check_name(str(tmp_path / name))
    assert load(tmp_path / name).fingerprint == straight


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_download_cut_short(tmp_path, share):
    path = written(tmp_path / "mine.npz")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "cut short after" in refusal(path)


def test_a_damaged_array_is_named(tmp_path):
    path = written(tmp_path / "mine.npz")
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)
    assert "x_train: the file is damaged" in refusal(path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "mine.npz"
    path.write_bytes(b"PK")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(look, "what", denied)
    assert "Permission denied" in refusal(path)
    with pytest.raises(RequestError, match="Permission denied"):
        data.check_name(str(path.rename(tmp_path / "other.bin")))


def test_an_archive_of_a_folder_of_images_is_not_taken_for_arrays(tmp_path):
    root = shades(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        for image in root.rglob("*.png"):
            file.write(image, os.path.relpath(image, tmp_path))
    with pytest.raises(RequestError, match="a zip archive of 9 files: unpack it and give the folder"):
        data.check_name(str(tmp_path / "set.zip"))
