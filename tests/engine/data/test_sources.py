"""Sources of images: what they accept, what they refuse and how, the cache, downloads without a network."""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import time
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.datasets import utils as torchvision_utils

from engine import data
from engine.data import embedded, signs
from engine.data.base import assemble, fingerprint, silent
from engine.data.decode import decode
from engine.errors import RequestError
from tests.engine.data.sources import Settings, arrays, picture, refusal, well_formed


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NADTUI_DATA", str(tmp_path / "data"))


# --- names ---


@pytest.mark.parametrize("name", ["signs", "cifar10", "gtsrb"])
def test_registered_names(name):
    data.check_name(name)


def test_paths_are_names(tmp_path):
    (tmp_path / "mine.npz").touch()
    data.check_name(str(tmp_path / "mine.npz"))
    data.check_name(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cifr10", "did you mean cifar10?"),
        ("CIFAR10", "did you mean cifar10?"),
        ("imagenet-21k", "known: signs, cifar10, gtsrb"),
        ("", "unknown data set ''"),
        ("no/such/folder", "no such file or folder"),
        ("absent.npz", "no such file or folder"),
        (__file__, "not a .npz file"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_allowed(name, told):
    with pytest.raises(RequestError) as caught:
        data.check_name(name)
    assert told in str(caught.value)
    assert "folder of class folders" in str(caught.value)
    assert told in refusal(name)


def test_names_are_checked_without_torch():
    code = "from engine import data; data.check_name('signs'); import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the fingerprint ---


def test_the_fingerprint_sees_a_pixel_a_label_and_the_shape():
    images, labels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    other, swapped = images.clone(), labels.flip(0)
    other[1, 2, 7, 7] = 1
    prints = {
        fingerprint(images, labels),
        fingerprint(other, labels),
        fingerprint(images, swapped),
        fingerprint(images.view(2, 3, 4, 16), labels),
        fingerprint(images[:1], labels),
    }
    assert len(prints) == 5
    assert fingerprint(images.clone(), labels.clone()) in prints
    strided = images.contiguous(memory_format=torch.channels_last)
    assert fingerprint(strided, labels) == fingerprint(images, labels)


def test_the_fingerprint_of_a_large_set_takes_a_moment():
    images = torch.zeros(45_000, 3, 32, 32, dtype=torch.uint8)
    began = time.process_time()
    fingerprint(images)
    assert time.process_time() - began < 1.5  # 0.1 s where the processor has SHA instructions


# --- signs ---


def tiny_signs(**settings):
    return data.load(Settings("signs", train_images=20, test_images=10, **settings))


@pytest.fixture
def drawings(monkeypatch):
    """Count how often the set is drawn."""
    calls = []
    draw = signs.draw

    def counted(*arguments, **named):
        calls.append(arguments)
        return draw(*arguments, **named)

    monkeypatch.setattr(signs, "draw", counted)
    return calls


def entry():
    (found,) = Path(os.environ["NADTUI_CACHE"], "signs").iterdir()
    return found


def test_signs_are_drawn_once_and_then_cached(drawings):
    first = well_formed(tiny_signs())
    second = well_formed(tiny_signs())
    assert len(drawings) == 1
    assert first.fingerprint == second.fingerprint
    assert torch.equal(first.x_train, second.x_train)
    assert len(first.x_train) == 20
    assert len(first.x_test) == 10
    assert first.class_names == signs.CLASS_NAMES
    tiny_signs(size=24)
    data.load(Settings("signs", train_images=21, test_images=10))
    assert len(drawings) == 3


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    path.write_bytes(content)


def replace_by_another_set(path):
    parts = signs.draw(12, 10, seed=1)
    embedded.save_weights(path, dict(zip(("x_train", "y_train", "x_test", "y_test"), parts, strict=True)), {})


def replace_by_weights(path):
    embedded.save_weights(path, {"conv1.weight": torch.zeros(3)}, {"fingerprint": "0"})


@pytest.mark.parametrize(
    "damage", [truncate, empty, flip_one_bit, replace_by_another_set, replace_by_weights, Path.unlink]
)
def test_a_damaged_cache_entry_is_drawn_again_and_replaced(drawings, damage):
    whole = tiny_signs()
    damage(entry())
    del drawings[:]
    assert tiny_signs().fingerprint == whole.fingerprint
    assert len(drawings) == 1
    assert tiny_signs().fingerprint == whole.fingerprint
    assert len(drawings) == 1


def test_a_changed_drawing_does_not_find_the_old_images(drawings, monkeypatch, tmp_path):
    tiny_signs()
    changed = tmp_path / "signs.py"
    changed.write_bytes(Path(signs.__file__).read_bytes() + b"# another line\n")
    monkeypatch.setattr(signs, "__file__", str(changed))
    tiny_signs()
    assert len(drawings) == 2


def test_too_few_signs_for_every_class_are_refused():
    message = refusal("signs", train_images=5, test_images=10)
    assert "data.train_images = 5: at least 10" in message


# --- npz ---


@pytest.fixture
def npz(tmp_path):
    """Write arrays to a file, some of them replaced (None = left out), and return its path."""

    def write(_name="mine.npz", **replaced):
        content = {**arrays(), **replaced}
        np.savez(tmp_path / _name, **{key: value for key, value in content.items() if value is not None})
        return str(tmp_path / _name)

    return write


def test_npz_with_the_channels_last(npz):
    found = well_formed(data.load(Settings(npz())))
    expected = arrays()
    assert found.name == "mine"
    assert found.class_names == ("0", "1", "2")
    assert found.x_train.shape == (30, 3, 10, 12)
    assert found.x_train[4, 1, 7, 9] == expected["x_train"][4, 7, 9, 1]
    assert found.x_test[11, 2, 0, 11] == expected["x_test"][11, 0, 11, 2]
    assert found.y_train.tolist() == expected["y_train"].tolist()


def test_npz_with_the_channels_first_and_labels_in_a_column(npz):
    straight = data.load(Settings(npz()))
    turned = {part: arrays()[part].transpose(0, 3, 1, 2) for part in ("x_train", "x_test")}
    columns = {part: arrays()[part].astype(np.uint8)[:, None] for part in ("y_train", "y_test")}
    found = well_formed(data.load(Settings(npz(**turned, **columns))))
    assert found.fingerprint == straight.fingerprint


@pytest.mark.parametrize("axis", [None, 1, 3])
def test_gray_images_become_color(npz, axis):
    gray = {part: arrays()[part][..., 0] for part in ("x_train", "x_test")}
    if axis is not None:
        gray = {part: np.expand_dims(array, axis) for part, array in gray.items()}
    found = well_formed(data.load(Settings(npz(**gray))))
    for channel in range(3):
        assert np.array_equal(found.x_train[:, channel].numpy(), arrays()["x_train"][..., 0])


def test_class_names_in_the_file(npz):
    found = data.load(Settings(npz(class_names=np.array(["cat", "dog", "Ärger"]))))
    assert found.class_names == ("cat", "dog", "Ärger")


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        ({"x_train": None}, "lacks x_train; wants the arrays x_train, y_train, x_test, y_test"),
        ({"y_train": None, "y_test": None}, "lacks y_train, y_test"),
        (
            {"x_train": np.zeros((30, 10, 12, 4), np.uint8)},
            "x_train has shape 30x10x12x4: images that are partly transparent",
        ),
        ({"x_train": np.zeros((30, 360), np.uint8)}, "x_train has shape 30x360"),
        ({"y_train": np.array(["a", "b", "c"] * 10)}, "y_train is <U1; wants integers"),
        ({"y_train": arrays()["y_train"][:-1]}, "x_train has 30 images, y_train 29 labels"),
        ({"y_test": arrays()["y_test"][:-1]}, "x_test has 12 images, y_test 11 labels"),
        ({"y_train": arrays()["y_train"] - 1}, "y_train holds the label -1"),
        ({"y_test": arrays()["y_test"] - 1}, "y_test holds the label -1"),
        ({"y_test": arrays()["y_test"] + 1}, "y_test holds the label 3, which no training image has"),
        ({"y_train": arrays()["y_train"] + 1}, "no training image has the label 0"),
        ({"y_train": arrays()["y_train"] * 2}, "no training image has the label 1"),
        ({"y_train": np.zeros(30, int)}, "all training images have the label 0"),
        (
            {"x_train": np.zeros((0, 10, 12, 3), np.uint8), "y_train": np.zeros(0, int)},
            "x_train holds no image",
        ),
        ({"x_test": np.zeros((0, 10, 12, 3), np.uint8), "y_test": np.zeros(0, int)}, "x_test holds no image"),
        ({"x_test": np.zeros((12, 12, 10, 3), np.uint8)}, "10x12 pixels, test images 12x10"),
        ({f"x_{part}": np.zeros((n, 7, 9, 3), np.uint8) for part, n in (("train", 30), ("test", 12))}, "7x9"),
        ({"x_train": np.array([{}] * 30)}, "Python objects"),
        ({"class_names": np.array(["a", "b"])}, "y_train holds the label 2, but there are 2 classes"),
        ({"class_names": np.array(["a", "b", "c", "d"])}, "no training image has the label 3"),
        ({"class_names": np.array([1, 2, 3])}, "class_names is int64"),
    ],
)
def test_a_wrong_npz_is_refused_with_what_is_wrong(npz, replaced, told):
    path = npz(**replaced)
    message = refusal(path)
    assert told in message
    assert path in message


def test_an_object_array_is_never_unpickled(npz, tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'executed'}",)

    refusal(npz(x_train=np.array([Malicious()] * 30, dtype=object)))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 the beginning of one", pickle.dumps([1])])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "rubbish.npz"
    path.write_bytes(content)
    assert str(path) in refusal(str(path))


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_truncated_npz_is_refused(npz, share):
    path = Path(npz())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert str(path) in refusal(str(path))


def test_a_damaged_npz_is_refused(npz):
    path = Path(npz())
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)
    assert str(path) in refusal(str(path))


def test_a_single_array_under_the_name_of_a_npz_is_refused(tmp_path):
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "single array" in refusal(str(tmp_path / "one.npz"))


def test_a_cut_keeps_the_classes_in_their_shares_and_the_images_with_their_labels(npz):
    path = npz(y_train=np.array([0] * 20 + [1] * 6 + [2] * 4))
    whole = data.load(Settings(path))
    found = well_formed(data.load(Settings(path, train_images=15, test_images=6)))
    assert found.y_train.bincount().tolist() == [10, 3, 2]
    assert found.y_test.bincount().tolist() == [2, 2, 2]
    for image, label in zip(found.x_train, found.y_train, strict=True):
        (at,) = (whole.x_train == image).flatten(1).all(1).nonzero().flatten().tolist()
        assert whole.y_train[at] == label
    assert found.fingerprint == data.load(Settings(path, train_images=15, test_images=6)).fingerprint
    assert found.fingerprint != whole.fingerprint
    assert data.load(Settings(path, train_images=30)).fingerprint == whole.fingerprint


def test_a_cut_that_is_too_large_or_too_small_is_refused(npz):
    assert "data.train_images is 31; the data set has 30" in refusal(npz(), train_images=31)
    assert "data.test_images cannot hold" in refusal(npz(), test_images=2)


def test_progress_of_reading_is_told(npz):
    told = []
    data.load(Settings(npz()), lambda *report: told.append(report))
    assert told[0] == ("reading mine.npz", 0, 4)
    assert told[-1] == ("reading mine.npz", 4, 4)


# --- a folder of class folders ---


@pytest.fixture
def tree(tmp_path):
    """Two classes, one red and one blue, in files of several sizes and kinds."""
    root = tmp_path / "photos"
    for index, ending in enumerate(("png", "jpg", "JPEG", "bmp", "webp", "png", "png", "png", "png", "ppm")):
        picture(root / "red" / f"{index}.{ending}", (200, 30, 60), (20 + 7 * index, 50 - 3 * index))
        picture(root / "blue" / f"{index}.{ending}", (20, 40, 220), (33, 9 + index))
    return root


def test_a_folder_is_split_within_every_class(tree):
    (tree / "red" / "notes.txt").write_text("not an image")
    (tree / "readme.md").write_text("nor this")
    (tree / ".hidden").mkdir()
    found = well_formed(data.load(Settings(str(tree))))
    assert found.name == "photos"
    assert found.class_names == ("blue", "red")
    assert found.x_train.shape == (16, 3, 32, 32)
    assert found.y_train.bincount().tolist() == [8, 8]
    assert found.y_test.bincount().tolist() == [2, 2]
    colors = torch.tensor([[20, 40, 220], [200, 30, 60]])
    for images, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        off = images.long() - colors[labels][:, :, None, None]
        assert off.abs().max() <= 12  # lossy formats
    assert data.load(Settings(str(tree))).fingerprint == found.fingerprint


def test_a_folder_with_its_own_split_and_another_size(tree, tmp_path):
    root = tmp_path / "split"
    root.mkdir()
    tree.rename(root / "train")
    picture(root / "test" / "red" / "only.png")
    found = well_formed(data.load(Settings(str(root), size=16)))
    assert found.x_train.shape == (20, 3, 16, 16)
    assert found.x_test.shape == (1, 3, 16, 16)
    assert found.y_test.tolist() == [1]
    picture(root / "test" / "green" / "only.png")
    assert "'green', which is not in train" in refusal(str(root))


def test_a_cut_of_a_folder_reads_only_what_it_keeps(tree):
    told = []
    settings = Settings(str(tree), train_images=4, test_images=2)
    found = well_formed(data.load(settings, lambda *report: told.append(report)))
    assert found.y_train.bincount().tolist() == [2, 2]
    assert ("reading train images", 4, 4) in told
    assert max(total for _, _, total in told) == 4


def test_large_images_are_resized_with_antialiasing(tmp_path):
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    for kind in ("a", "b"):
        for index in range(2):
            (tmp_path / "set" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(stripes).save(tmp_path / "set" / kind / f"{index}.png")
    found = data.load(Settings(str(tmp_path / "set")))
    # One-pixel stripes shrunk to an eighth are gray; picking single pixels would leave them black or white.
    assert (found.x_train.float() - 127.5).abs().max() < 10


def test_photographs_are_turned_upright_and_gray_ones_are_color(tmp_path):
    left_dark = np.zeros((16, 32), np.uint8)
    left_dark[:, 16:] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: to be turned clockwise by 90 degrees
    for kind in ("a", "b"):
        for index in range(2):
            path = tmp_path / "set" / kind / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(left_dark).save(path, exif=turned)
    image = data.load(Settings(str(tmp_path / "set"))).x_train[0]
    assert image[:, :12].max() == 0
    assert image[:, 20:].min() == 255


def test_unreadable_images_are_counted_and_named(tree):
    (tree / "blue" / "0.png").write_bytes(b"no picture")
    whole = (tree / "red" / "5.png").read_bytes()
    (tree / "red" / "5.png").write_bytes(whole[: len(whole) // 2])
    everything = Settings(str(tree))
    with pytest.raises(RequestError) as caught:
        data.load(everything)
    message = str(caught.value)
    assert "\n" not in message
    assert "cannot read 2 of 20 images: " in message or "cannot read 2 of 16 images: " in message
    assert "0.png" in message and "5.png" in message


def test_of_many_unreadable_images_ten_are_named(tmp_path):
    files = [tmp_path / f"broken{index}.png" for index in range(12)]
    for file in files:
        file.write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"cannot read 12 of 12 images: .* and 2 more$") as caught:
        decode(files, 8, "reading", silent)
    assert [file for file in files if f"{file} (" in str(caught.value)] == files[:10]


def test_images_of_more_than_eight_bits_are_refused(tree):
    for index in range(10, 13):
        Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(tree / "red" / f"{index}.png")
    assert "more than 8 bits" in refusal(str(tree))


def test_a_folder_without_images_or_classes_is_refused(tmp_path):
    root = tmp_path / "empty"
    root.mkdir()
    assert "no class folders" in refusal(str(root))
    picture(root / "loose.png")
    assert "no class folders" in refusal(str(root))
    picture(root / "one" / "a.png")
    assert "one class folder, 'one'" in refusal(str(root))
    (root / "two").mkdir()
    message = refusal(str(root))
    assert "holds no image" in message
    assert "two" in message
    picture(root / "two" / "a.png")
    assert "holds one image" in refusal(str(root))


# --- cifar10 and gtsrb ---


class Offline:
    """Counts attempts to reach the network, and lets none through."""

    def __init__(self):
        self.attempts = 0

    def __call__(self, *arguments, **named):
        self.attempts += 1
        raise urllib.error.URLError("[Errno -3] Temporary failure in name resolution")


class Server:
    """Answers torchvision's requests from a dictionary of file names."""

    def __init__(self, files):
        self.files = files

    def __call__(self, request):
        content = self.files[request.full_url.rsplit("/", 1)[-1]]
        answer = io.BytesIO(content)
        answer.url, answer.length = request.full_url, len(content)
        return answer


@pytest.fixture
def network(monkeypatch):
    def connect(server):
        monkeypatch.setattr(torchvision_utils.urllib.request, "urlopen", server)
        return server

    connect(Offline())
    return connect


@pytest.mark.parametrize("name", ["cifar10", "gtsrb"])
def test_offline_says_what_to_do(name, network, capfd, tmp_path):
    offline = network(Offline())
    message = refusal(name)
    assert offline.attempts > 0
    assert f"put {name}.npz" in message
    assert str(tmp_path / "data") in message
    assert "NADTUI_DATA" in message
    assert "name resolution" in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "first"), [("cifar10", "airplane"), ("gtsrb", "speed limit 20")])
def test_a_npz_in_the_data_folder_serves(name, first, npz, tmp_path, network):
    offline = network(Offline())
    (tmp_path / "data").mkdir()
    Path(npz()).rename(tmp_path / "data" / f"{name}.npz")
    found = well_formed(data.load(Settings(name)))
    assert found.name == name
    assert found.class_names[0] == first
    assert found.classes == 3
    assert offline.attempts == 0


def cifar_archive(monkeypatch):
    """A CIFAR-10 of 50 + 10 images in the form of the original; torchvision is told its checksums."""

    def batch(count, seed):
        chance = np.random.default_rng(seed)
        pixels = chance.integers(0, 256, (count, 3072), dtype=np.uint8)
        return pickle.dumps({"data": pixels, "labels": [index % 10 for index in range(count)]})

    files = {f"data_batch_{index}": batch(10, index) for index in range(1, 6)}
    files["test_batch"] = batch(10, 6)
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    def md5(content):
        return hashlib.md5(content).hexdigest()

    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(buffer.getvalue()))
    rows = [[name, md5(content)] for name, content in files.items()]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", rows[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", rows[5:6])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": rows[6][1]})
    return buffer.getvalue(), files


def test_cifar10_is_downloaded_once_with_progress_and_nothing_on_stderr(monkeypatch, network, capfd):
    archive, files = cifar_archive(monkeypatch)
    bar = torchvision_utils.tqdm
    network(Server({"cifar-10-python.tar.gz": archive}))
    told = []
    found = well_formed(data.load(Settings("cifar10"), lambda *report: told.append(report)))
    assert ("downloading cifar10", len(archive), len(archive)) in told
    assert capfd.readouterr().err == ""
    assert torchvision_utils.tqdm is bar
    assert len(found.x_train) == 50
    assert found.class_names[3] == "cat"
    pixels = pickle.loads(files["data_batch_1"])["data"][7].reshape(3, 32, 32)
    assert np.array_equal(found.x_train[7].numpy(), pixels)
    assert found.y_train[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]

    offline = network(Offline())
    again = data.load(Settings("cifar10", train_images=20))
    assert offline.attempts == 0
    assert again.y_train.bincount().tolist() == [2] * 10


def test_a_damaged_download_is_refused(monkeypatch, network):
    archive, _ = cifar_archive(monkeypatch)
    network(Server({"cifar-10-python.tar.gz": archive[:-50]}))
    assert "could not be downloaded" in refusal("cifar10")
    network(Server({"cifar-10-python.tar.gz": archive}))
    well_formed(data.load(Settings("cifar10")))


def ppm(color, size):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, format="ppm")
    return buffer.getvalue()


def gtsrb_files(classes=(0, 1, 2)):
    """Paths and contents of a small GTSRB in the form of the original, each class with its color."""
    files = {}
    for kind in classes:
        for index in range(3):
            name = f"GTSRB/Training/{kind:05d}/00000_{index:05d}.ppm"
            files[name] = ppm((40 * kind, 80, 90), (15 + 9 * index, 40))
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for index, kind in enumerate(reversed(classes)):
        files[f"GTSRB/Final_Test/Images/{index:05d}.ppm"] = ppm((40 * kind, 80, 90), (60, 25))
        rows.append(f"{index:05d}.ppm;60;25;5;5;55;20;{kind}")
    files["GT-final_test.csv"] = "\n".join(rows).encode()
    return files


def lay_out(root, files):
    for name, content in files.items():
        path = root / "gtsrb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def check_gtsrb(found, size=32):
    well_formed(found)
    assert found.x_train.shape == (9, 3, size, size)
    assert found.y_test.tolist() == [2, 1, 0]
    assert found.class_names == ("speed limit 20", "speed limit 30", "speed limit 50")
    for images, labels in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        assert torch.equal(images[:, 0].long(), (40 * labels)[:, None, None].expand(-1, size, size))


@pytest.mark.parametrize("size", [32, 48])
def test_gtsrb_as_torchvision_lays_it_out(tmp_path, network, size):
    offline = network(Offline())
    lay_out(tmp_path / "data", gtsrb_files())
    check_gtsrb(data.load(Settings("gtsrb", size=size)), size)
    cut = data.load(Settings("gtsrb", train_images=6))
    assert cut.y_train.bincount().tolist() == [2, 2, 2]
    assert offline.attempts == 0


def test_gtsrb_with_a_class_folder_missing_does_not_shift_the_labels(tmp_path, network):
    lay_out(tmp_path / "data", gtsrb_files(classes=(0, 2, 3)))
    assert "no training image has the label 1" in refusal("gtsrb")


@pytest.mark.parametrize("lost", ["GT-final_test.csv", "GTSRB/Training", "GTSRB/Final_Test"])
def test_an_incomplete_gtsrb_is_refused(tmp_path, network, lost):
    kept = {name: content for name, content in gtsrb_files().items() if not name.startswith(lost)}
    lay_out(tmp_path / "data", kept)
    assert "not a whole copy" in refusal("gtsrb")


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_gtsrb_download_interrupted_and_repeated(tmp_path, network, monkeypatch):
    files = gtsrb_files()
    parts = {
        "GTSRB-Training_fixed.zip": zipped({n: c for n, c in files.items() if "/Training/" in n}),
        "GTSRB_Final_Test_Images.zip": zipped({n: c for n, c in files.items() if "/Final_Test/" in n}),
        "GTSRB_Final_Test_GT.zip": zipped({"GT-final_test.csv": files["GT-final_test.csv"]}),
    }
    # The archives of this test have other checksums than the real ones.
    monkeypatch.setattr(torchvision_utils, "check_integrity", lambda path, md5=None: Path(path).is_file())
    server = Server({name: parts[name] for name in ("GTSRB-Training_fixed.zip",)})
    network(lambda request: Offline()() if "Final" in request.full_url else server(request))
    refusal("gtsrb")
    assert not (tmp_path / "data" / "gtsrb").exists()
    # As if killed while extracting: what is there of the training part must not be taken for the whole.
    extracted = next((tmp_path / "data").glob(".gtsrb-download/gtsrb/GTSRB/Training/00001/*.ppm"))
    extracted.unlink()
    network(Server(parts))
    check_gtsrb(data.load(Settings("gtsrb")))
    network(Offline())
    check_gtsrb(data.load(Settings("gtsrb")))


# --- the checks that all sources share ---


def test_assemble_takes_the_classes_from_the_training_labels():
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 1])
    assert assemble("x", (images, labels), (images[:1], labels[:1]), None, "x").classes == 3


REAL = Path(os.environ.get("NADTUI_DATA", ""), "cifar10.npz")


@pytest.mark.cifar10
@pytest.mark.skipif(not REAL.is_file(), reason="NADTUI_DATA holds no cifar10.npz")
def test_the_real_cifar10(monkeypatch):
    monkeypatch.setenv("NADTUI_DATA", str(REAL.parent))
    found = well_formed(data.load(Settings("cifar10")))
    assert found.x_train.shape[1:] == (3, 32, 32)
    assert len(found.x_train) >= 45_000
    assert found.class_names[0] == "airplane"
    # A fact of CIFAR-10: the mean color is (0.491, 0.482, 0.447).
    mean = found.x_train[::10].float().mean(dim=(0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.01)
    assert found.y_train.bincount().min() > 4000
