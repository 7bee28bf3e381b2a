"""Folders as people have them: what of them trains, what tests, which classes there are, and what is said of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from tests.engine.data.sources import load, notes, picture, refusal, shade_of, shades, well_formed

ABC = {"a": 0, "b": 20, "c": 40}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "val"),
        ("Train", "Test"),
        ("TRAINING", "Validation"),
        ("training", "valid"),
        ("train_images", "test_images"),
        ("trainset", "testset"),
        ("Training", "Final_Test"),
    ],
)
def test_parts_by_any_of_their_names(tmp_path, train, test):
    shades(tmp_path / train, count=3)
    shades(tmp_path / test, count=2)
    found = well_formed(load(tmp_path))
    assert (len(found.x_train), len(found.x_test)) == (9, 6)
    assert shade_of(found) == ABC
    assert f"took {train} and {test}; 3 classes" in notes(found)


def test_test_is_taken_before_val_and_val_is_named(tmp_path):
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        shades(tmp_path / part, count=count)
    found = load(tmp_path)
    assert len(found.x_test) == 6
    assert "took train and test" in notes(found)
    assert "left out val (3 images in 3 folders)" in notes(found)


@pytest.mark.parametrize("spoilt", ["empty", "flat", "unknown"])
def test_where_test_cannot_test_val_does(tmp_path, spoilt):
    shades(tmp_path / "train")
    shades(tmp_path / "valid", count=1)
    (tmp_path / "test").mkdir()
    if spoilt != "empty":
        picture(tmp_path / "test" / ("unknown" if spoilt == "unknown" else "") / "1.png")
    found = load(tmp_path)
    assert len(found.x_test) == 3
    assert "took train and valid" in notes(found)
    assert str(tmp_path / "test") in notes(found, warning=True)


def test_train_alone_is_split_and_said(tmp_path):
    shades(tmp_path / "train", count=5)
    found = load(tmp_path)
    assert (len(found.x_train), len(found.x_test)) == (12, 3)
    assert "took train alone, of which a fifth tests; 3 classes" in notes(found)


@pytest.mark.parametrize("around", ["one", "one/more", "dataset/images"])
def test_folders_around_are_gone_into(tmp_path, around):
    shades(tmp_path / around)
    (tmp_path / "__MACOSX" / "x").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "x" / "._1.png").write_bytes(b"Mac OS X")
    (tmp_path / "readme.md").write_text("about")
    found = load(tmp_path)
    assert shade_of(found) == ABC
    assert f"the images lie in {around}" in notes(found)


def test_parts_within_one_more_folder(tmp_path):
    shades(tmp_path / "set" / "train")
    shades(tmp_path / "set" / "test", count=1)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "1.xml").write_text("<x/>")
    found = load(tmp_path)
    assert (len(found.x_train), len(found.x_test)) == (9, 3)


@pytest.mark.parametrize("inner", ["images", "deep/er", "JPEGImages"])
def test_images_deeper_in_their_class_folder(tmp_path, inner):
    shades(tmp_path, inner=inner, count=5)
    found = load(tmp_path)
    assert shade_of(found) == ABC
    assert "of 3 of 3 classes images in folders within the class folder were taken" in notes(found)


def test_parts_within_each_class_are_not_mixed(tmp_path):
    for name, count in (("train", 3), ("test", 1)):
        shades(tmp_path, inner=name, count=count)
    found = load(tmp_path)
    assert (len(found.x_train), len(found.x_test)) == (9, 3)
    assert "took train and test of each class; 3 classes" in notes(found)


def test_a_class_that_is_called_train(tmp_path):
    shades(tmp_path, ("bus", "car", "train"))
    assert shade_of(load(tmp_path)) == {"bus": 0, "car": 20, "train": 40}


def test_a_plain_folder_is_not_worth_a_word(tmp_path):
    assert load(shades(tmp_path)).notes == ()


def test_images_beside_the_classes_are_counted(tmp_path):
    shades(tmp_path)
    for index in range(2):
        picture(tmp_path / f"{index}.png")
    assert "left out 2 images that lie beside the class folders" in notes(load(tmp_path), warning=True)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (("d",), "has the class 'd', which is not in train; train has 'a', 'b', 'c'"),
        (("d", "e"), "has 2 classes that are not in train: 'd', 'e'; train has 'a', 'b', 'c'"),
        (("A",), "has the class 'A', which is not in train"),
    ],
)
def test_classes_of_test_that_train_does_not_have(tmp_path, extra, told):
    shades(tmp_path / "train")
    shades(tmp_path / "test", ("a", *extra))
    assert told in refusal(tmp_path)


def test_what_fits_no_layout_is_refused_with_what_was_understood(tmp_path):
    empty = tmp_path / "empty"
    shades(empty)
    (empty / "d").mkdir()
    assert f"{empty / 'd'} holds no image" in refusal(empty)
    flat = tmp_path / "flat"
    for name, count in (("train", 2), ("test", 1)):
        for index in range(count):
            picture(flat / name / f"{index}.png")
    said = refusal(flat)
    assert "understood as split into test and train" in said
    assert "train holds 2 images and no class folders; wants class folders in each" in said
    untrained = tmp_path / "untrained"
    for part in ("test", "val"):
        shades(untrained / part)
    assert "understood as split into test and val; there is no train" in refusal(untrained)
    (untrained / "train").mkdir()
    assert "train holds no image" in refusal(untrained)
    loose = tmp_path / "loose"
    picture(loose / "1.png")
    assert "no class folders (1 images that lie in none); wants a folder of images for each" in refusal(loose)
    other = tmp_path / "other"
    other.mkdir()
    (other / "train_32x32.mat").write_bytes(b"MATLAB 5.0")
    (tmp_path / "raw" / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "raw" / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(bytes(99))
    assert "one class folder, 'MNIST' (files that are no images: 1 no ending)" in refusal(tmp_path / "raw")
    assert "no class folders (files that are no images: 1 .mat)" in refusal(other)


@pytest.mark.parametrize("classes", [range(12), (3, 20, 100), (7, 8, 9, 10)])
def test_numbers_are_in_their_order(tmp_path, classes):
    names = tuple(map(str, classes))
    found = load(shades(tmp_path, names, count=2))
    assert found.class_names == names
    assert shade_of(found) == {name: 20 * label for label, name in enumerate(names)}


def test_numbers_with_zeros_in_front_and_mixed_names_keep_the_order_of_names(tmp_path):
    padded = tuple(f"{number:05d}" for number in (0, 2, 10, 42))
    assert load(shades(tmp_path / "padded", padded, count=2)).class_names == padded
    mixed = ("1", "10", "2", "x")
    assert load(shades(tmp_path / "mixed", mixed, count=2)).class_names == mixed


@pytest.mark.parametrize(("train", "test"), [("{:05d}", "{}"), ("{}", "{:03d}"), ("{:02d}", "{:05d}")])
def test_numbers_with_and_without_zeros_are_the_same_class(tmp_path, train, test):
    names = [train.format(number) for number in (0, 2, 10)]
    shades(tmp_path / "train", names)
    shades(tmp_path / "test", [test.format(number) for number in (0, 2, 10)])
    assert shade_of(load(tmp_path)) == {name: 20 * label for label, name in enumerate(names)}
    picture(tmp_path / "test" / "11" / "1.png")
    assert "has the class '11', which is not in train" in refusal(tmp_path)


def test_the_order_of_the_classes_is_in_the_fingerprint(tmp_path):
    by_number = load(shades(tmp_path / "numbers", ("2", "10"), count=2))
    by_name = load(shades(tmp_path / "names", ("b2", "a10"), count=2))
    assert by_number.fingerprint != by_name.fingerprint
    assert by_number.fingerprint == load(shades(tmp_path / "like", ("x2", "y10"), count=2)).fingerprint


def test_links_in_a_circle_end(tmp_path):
    shades(tmp_path, count=5)
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(load(tmp_path).x_train) == 12


# --- trees as torchvision and the field's data sets have them ---


def gtsrb(root, folders, table, rows):
    for number in (0, 2, 10):
        picture(root / folders[0] / f"{number:05d}" / "1.ppm", (20 * number,) * 3, (9, 9))
        picture(root / folders[0] / f"{number:05d}" / "2.ppm", (20 * number,) * 3, (9, 9))
        (root / folders[0] / f"{number:05d}" / f"GT-{number:05d}.csv").write_text("Filename;ClassId\n")
        picture(root / folders[1] / f"{number:05d}.ppm", (20 * number,) * 3, (9, 9))
    (root / table).write_text(rows)


@pytest.mark.parametrize("given", ["", "gtsrb", "gtsrb/GTSRB"])
def test_gtsrb_as_torchvision_lays_it_out(tmp_path, given):
    rows = "Filename;Width;ClassId\n00000.ppm;9;0\n00002.ppm;9;2\n00010.ppm;9;10\n"
    folders = "gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test/Images"
    gtsrb(tmp_path, folders, "gtsrb/GT-final_test.csv", rows)
    found = load(tmp_path / given)
    assert found.class_names == ("00000", "00002", "00010")
    assert (len(found.x_train), len(found.x_test)) == (6, 3)
    assert shade_of(found) == {"00000": 0, "00002": 40, "00010": 200}
    assert "the classes of its 3 images are read from GT-final_test.csv" in notes(found)


def test_gtsrb_as_kaggle_has_it(tmp_path):
    rows = "Width,Height,ClassId,Path\n9,9,0,Test/00000.ppm\n9,9,2,Test/00002.ppm\n9,9,10,Test/00010.ppm\n"
    gtsrb(tmp_path, ("Train", "Test"), "Test.csv", rows)
    assert shade_of(load(tmp_path)) == {"00000": 0, "00002": 40, "00010": 200}


def test_tiny_imagenet(tmp_path):
    shades(tmp_path / "train", ("n01", "n02"), inner="images")
    rows = []
    for label, name in enumerate(("n01", "n02")):
        picture(tmp_path / "val" / "images" / f"val_{label}.JPEG", (20 * label,) * 3, (9, 9))
        picture(tmp_path / "test" / "images" / f"test_{label}.JPEG", (20 * label,) * 3, (9, 9))
        rows.append(f"val_{label}.JPEG\t{name}\t0\t0\t9\t9")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(rows))
    found = load(tmp_path)
    assert shade_of(found) == {"n01": 0, "n02": 20}
    assert "took train and val; 2 classes" in notes(found)
    assert "no table of classes; not used" in notes(found, warning=True)


def cifar(folder, kind, monkeypatch, *, damaged=False):
    """A tiny copy in the form of the original; torchvision is told its checksums."""
    import hashlib

    pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    key, names = ("labels", "label_names") if kind == "CIFAR10" else ("fine_labels", "fine_label_names")
    batch = pickle.dumps({"data": pixels, key: [index % 2 for index in range(20)]})
    meta = pickle.dumps({names: ["cat", "dog"]})
    whole = getattr(datasets, kind)
    files = {name: batch for name, _ in (*whole.train_list, *whole.test_list)} | {whole.meta["filename"]: meta}
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content + b"!" * damaged)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(whole, "train_list", [[name, sums[name]] for name, _ in whole.train_list])
    monkeypatch.setattr(whole, "test_list", [[name, sums[name]] for name, _ in whole.test_list])
    monkeypatch.setattr(whole, "meta", {**whole.meta, "md5": sums[whole.meta["filename"]]})
    return pixels


@pytest.mark.parametrize("kind", ["CIFAR10", "CIFAR100"])
@pytest.mark.parametrize("given", ["", "renamed"])
def test_cifar_as_torchvision_lays_it_out(tmp_path, monkeypatch, kind, given):
    pixels = cifar(tmp_path / "renamed", kind, monkeypatch)
    found = well_formed(load(tmp_path / given))
    assert found.class_names == ("cat", "dog")
    assert np.array_equal(found.x_test[3].numpy(), pixels[3].reshape(3, 32, 32))
    assert f"read as torchvision's {kind}; 2 classes" in notes(found)


def test_files_of_cifar_that_are_not_the_published_ones_are_never_opened(tmp_path, monkeypatch):
    cifar(tmp_path / "cifar-10-batches-py", "CIFAR10", monkeypatch, damaged=True)
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("opened"))
    assert "not as it was published" in refusal(tmp_path)


def idx(numbers):
    """An array as the files of MNIST hold it."""
    head = bytes([0, 0, 8, numbers.ndim]) + b"".join(side.to_bytes(4, "big") for side in numbers.shape)
    return head + numbers.astype(np.uint8).tobytes()


def mnist(folder, classes=10):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(20) % classes))
    return pixels


@pytest.mark.parametrize("given", ["", "MNIST", "MNIST/raw"])
def test_mnist_as_torchvision_lays_it_out(tmp_path, given):
    pixels = mnist(tmp_path / "MNIST" / "raw")
    found = well_formed(load(tmp_path / given))
    assert found.class_names == tuple("0123456789")
    assert np.array_equal(found.x_test[3, 1].numpy(), pixels[3])
    assert "read as torchvision's MNIST; 10 classes" in notes(found)
    assert sorted(load(tmp_path / given, train_images=10).y_train.tolist()) == list(range(10))


def test_fashion_mnist_has_its_own_names(tmp_path):
    mnist(tmp_path / "FashionMNIST" / "raw")
    assert load(tmp_path).class_names[:2] == ("T-shirt/top", "Trouser")


@pytest.mark.parametrize("lost", [10, 800, 15_000])
def test_files_of_mnist_that_are_cut_short(tmp_path, lost):
    mnist(tmp_path / "raw")
    (file,) = tmp_path.rglob("t10k-images-idx3-ubyte")
    file.write_bytes(file.read_bytes()[:-lost])
    assert "not whole or not as it was published" in refusal(tmp_path)


# --- what is an image ---

KINDS = ["jfif", "jpe", "avif", "webp", "tif", "gif", "ppm", "bmp", "PNG"]


@pytest.mark.parametrize("ending", KINDS)
def test_whatever_the_decoder_takes_is_an_image(tmp_path, ending):
    shades(tmp_path, count=2)
    formats = {"jfif": "JPEG", "jpe": "JPEG"}
    for index in range(8):
        Image.new("RGB", (9, 9), (200, 0, 0)).save(tmp_path / "b" / f"more{index}.{ending}", formats.get(ending))
    found = load(tmp_path)
    assert (found.y_train == 1).sum() + (found.y_test == 1).sum() == 10
    assert found.notes == ()


@pytest.mark.parametrize("name", ["scan.dat", "no-ending", "photo.heic", "photo.old"])
def test_an_image_is_one_by_its_content(tmp_path, name):
    shades(tmp_path, count=2)
    picture(tmp_path / "b" / "x.png").rename(tmp_path / "b" / name)
    found = load(tmp_path)
    assert len(found.x_train) + len(found.x_test) == 7
    assert found.notes == ()


def test_what_cannot_be_decoded_is_counted_by_ending_and_class(tmp_path):
    shades(tmp_path, count=2)
    for index in range(18):
        (tmp_path / "b" / f"{index}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (tmp_path / "c" / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(99))
    (tmp_path / "c" / "raw").write_bytes(bytes(99))
    said = notes(load(tmp_path), warning=True)
    assert "left out 20 files that are no images Pillow can decode: 18 .heic in 'b', " in said
    assert "1 .mp4, 1 no ending in 'c'" in said
    assert "\n" not in said
    for image in (tmp_path / "b").glob("*.png"):
        image.unlink()
    assert f"{tmp_path / 'b'} holds no image that can be decoded; it holds 18 .heic" in refusal(tmp_path)


def test_bystanders_are_not_worth_a_word(tmp_path):
    shades(tmp_path, count=2)
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "labels.txt", "boxes.csv", "0.xml", "0.json", "README"):
        (tmp_path / "b" / name).write_bytes(b"about")
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "__pycache__"):
        picture(tmp_path / name / "1.png")
        picture(tmp_path / "b" / name / "1.png")
    found = load(tmp_path)
    assert len(found.x_train) + len(found.x_test) == 6
    assert found.notes == ()


def test_formats_that_need_another_program_are_not_decoded(tmp_path):
    shades(tmp_path, count=2)
    (tmp_path / "b" / "x.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "1 .eps in 'b'" in notes(load(tmp_path), warning=True)
