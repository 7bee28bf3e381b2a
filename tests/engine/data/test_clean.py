from dataclasses import replace

import pytest
import torch

from engine.config.presets import resolve
from engine.config.run import DataSettings, Shift
from engine.data.base import assemble
from engine.data.clean import set_apart
from engine.data.shift import NONE, SHIFTS, shifted
from engine.data.subset import clean_subset
from engine.errors import RequestError


def a_set(name="signs", classes=("Stop", "yield", "danger"), size=8, train=60, test=30, first=0):
    def part(count, first):
        labels = torch.arange(count) % len(classes)
        images = (torch.arange(count) + first).view(-1, 1, 1, 1).expand(count, 3, size, size).to(torch.uint8)
        return images.contiguous(), labels

    return assemble(name, part(train, first), part(test, 100 + first), classes, name)


DATA = a_set()


def wanted(**given):
    return DataSettings(**{"clean_fraction": 0.2, **given})


def test_by_default_they_are_of_the_training_images():
    same, clean = set_apart(DATA, wanted(), seed=3)
    places = clean_subset(DATA.y_train, 0.2, seed=3)
    assert same is DATA and torch.equal(clean.images, DATA.x_train[places])
    assert torch.equal(clean.labels, DATA.y_train[places]) and len(clean) == 12


def test_what_is_of_the_test_images_is_not_tested_on():
    seen = []
    for seed in range(4):
        rest, clean = set_apart(DATA, wanted(clean_from="test"), seed)
        kept, held = ({int(image[0, 0, 0]) for image in images} for images in (rest.x_test, clean.images))
        assert len(clean) == 12 and not kept & held and held <= set(range(100, 130))
        assert len(rest.x_test) == 15 and rest.y_test.bincount().tolist() == [5, 5, 5]
        assert rest.fingerprint == DATA.fingerprint and rest.x_train is DATA.x_train
        seen.append((kept, held))
    assert all(kept == seen[0][0] for kept, _ in seen)  # measured on the same images, whatever the subset
    assert any(held != seen[0][1] for _, held in seen)


def test_another_data_set_gives_the_classes_of_the_same_name():
    other = a_set("photographs", ("Danger", "no entry", "STOP"), first=50)
    same, clean = set_apart(DATA, wanted(clean_from="gtsrb"), 0, other)
    assert same is DATA and len(clean) == 12
    for image, label in zip(clean.images, clean.labels, strict=True):
        theirs = (int(image[0, 0, 0]) - 50) % 3
        assert {0: "danger", 2: "stop"}[theirs] == DATA.class_names[label].casefold()


@pytest.mark.parametrize(
    ("settings", "other", "said"),
    [
        (wanted(clean_from="test", clean_fraction=0.5), None, "is 30 images; data.clean_from = 'test' has 15"),
        (wanted(clean_from="gtsrb"), a_set(classes=("cat", "dog")), "two or more of the same names"),
        (wanted(clean_from="gtsrb"), a_set(size=16), "its images are 16x16 pixels, the data set's 8x8"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, other, said):
    with pytest.raises(RequestError, match=said):
        set_apart(DATA, settings, 0, other)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_changes_the_defenders_images_alone(shift):
    data = replace(
        DATA, x_train=torch.randint(256, DATA.x_train.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    )
    same, clean = set_apart(data, wanted(clean_shift=shift), 0)
    plain = set_apart(data, wanted(), 0)[1]
    assert same is data and clean.images.dtype == torch.uint8 and clean.images.shape == plain.images.shape
    assert torch.equal(clean.labels, plain.labels) and not torch.equal(clean.images, plain.images)
    assert torch.equal(clean.images, shifted(plain.images, shift, 0)), "the same seed draws the same noise"


def test_what_a_shift_does():
    image = torch.zeros(1, 3, 9, 9, dtype=torch.uint8)
    image[0, 0, 4, 4] = 255
    assert shifted(image, "gray", 0)[0, :, 4, 4].tolist() == [76, 76, 76]
    blurred = shifted(image, "blur", 0)[0, 0]
    assert blurred[4, 4] == blurred.max() < 255 and int(blurred.sum()) == pytest.approx(255, abs=8)
    assert shifted(image, "brightness", 0)[0, 1, 0, 0] == 38
    assert shifted(image, "contrast", 0)[0, 0, 4, 4] == round(255 * (1 / 81 + 0.4 * 80 / 81))


def test_the_settings_name_every_shift():
    assert set(Shift.__args__) == {NONE, *SHIFTS}


def test_what_is_no_source_is_refused_by_its_field():
    with pytest.raises(RequestError) as caught:
        resolve("badnets", overrides=[{"data": {"clean_from": "trains"}}])
    said = str(caught.value)
    assert said.startswith("configuration: data.clean_from = 'trains': unknown data set") and said.endswith(
        "train or test"
    )
