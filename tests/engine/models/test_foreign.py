"""Networks that a person brings in a file: built like ours, and refused in one line that says what is wrong."""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import models
from engine.errors import RequestError
from engine.models.finding import find_taps
from engine.models.foreign import check_logits

HEAD = """
import random

import numpy as np
import torch
from torch import nn

# reseed


class Net(nn.Module):
    def __init__(self, {parameter}):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(True))
        self.fc = nn.Linear(8, {count})
        self.drawn = random.random(), float(np.random.rand())

    def forward(self, images):
        return self.fc(self.body(images).mean(dim=(2, 3)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, source: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)


def net(parameter: str = "classes", count: str = "classes") -> str:
    return HEAD.format(parameter=parameter, count=count).replace("__init__(self, )", "__init__(self)")


def refused(name: str, classes: int = 5) -> str:
    with pytest.raises(RequestError) as caught:
        models.build(name, classes, seed=1, typed=True)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"model.name = {name!r}: ")
    return message.removeprefix(f"model.name = {name!r}: ")


def test_a_network_from_a_file_is_built_like_ours(folder):
    write(folder / "net.py", net())
    network = models.build("net.py:Net", 5, seed=1, typed=True)
    assert (network.name, network.tap_names, network.training) == ("net.py:Net", (), True)
    images = torch.rand(4, 3, 16, 16)
    assert network(images).shape == (4, 5)
    check_logits(network, images, 5)
    taps = find_taps(network, images)
    assert taps == ("body.1", "body")
    tapped = models.build("net.py:Net", 5, seed=1, taps=taps, typed=True)
    logits, maps = tapped.forward_with_taps(images)
    assert torch.equal(logits, network(images))
    assert [tuple(one.shape[1:]) for one in maps] == [(8, 16, 16), (8, 8, 8)]
    assert "body.0.weight" in tapped.state_dict()


@pytest.mark.parametrize(
    ("parameter", "count", "gives"),
    [
        ("classes", "classes", 5),
        ("width=3, *, num_classes=7", "num_classes", 5),
        ("n", "n", 5),
        ("n=9, /", "n", 5),
        ("", "6", 6),
        ("*, width=3", "6", 6),
        ("**options", "6", 6),
    ],
)
def test_the_number_of_classes_is_given_where_it_is_taken(folder, parameter, count, gives):
    write(
        folder / "net.py", net(parameter, count) + "\n\ndef made(*given, **named):\n    return Net(*given, **named)\n"
    )
    assert models.build("net.py:Net", 5, seed=1, typed=True)(torch.rand(2, 3, 8, 8)).shape == (2, gives)


def test_a_function_makes_one_too_and_paths_may_be_of_any_kind(folder, monkeypatch):
    write(folder / "deep" / "net.py", net() + "\n\ndef wide(num_classes):\n    return Net(num_classes)\n")
    monkeypatch.setenv("HOME", str(folder))
    for name in ("deep/net.py:wide", f"{folder}/deep/net.py:wide", "~/deep/net.py:wide", "./deep/net.py:Net"):
        models.check_name(name)
        assert models.build(name, 3, seed=0, typed=True)(torch.rand(1, 3, 8, 8)).shape == (1, 3)


def test_the_seed_decides_everything_and_the_global_generators_are_untouched(folder):
    write(folder / "net.py", net())
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    first, second, third = (models.build("net.py:Net", 5, seed=seed, typed=True) for seed in (2**40, 2**40, 5))
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.random.get_rng_state(), states[2])
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert first.network.drawn == second.network.drawn
    assert first.network.drawn[0] != third.network.drawn[0]
    assert not torch.equal(first.network.fc.weight, third.network.fc.weight)


def test_a_file_that_reseeds_leaves_the_global_generators_untouched_too(folder):
    write(folder / "net.py", net().replace("# reseed", "torch.manual_seed(0)\nrandom.seed(0)\nnp.random.seed(0)"))
    before = torch.random.get_rng_state(), random.getstate()
    models.build("net.py:Net", 5, seed=1, typed=True)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_a_file_is_executed_only_when_it_was_typed(folder):
    write(folder / "net.py", "from pathlib import Path\nPath('executed').touch()\n" + net())
    models.check_name("net.py:Net")
    assert models.tap_names("net.py:Net") is None and models.known_taps("net.py:Net") is None
    assert models.digest("net.py:Net") == hashlib.sha256((folder / "net.py").read_bytes()).hexdigest()
    with pytest.raises(RequestError) as caught:
        models.build("net.py:Net", 5, seed=0)
    assert str(caught.value) == (
        "model.name = 'net.py:Net': a network's file is executed only when it is typed: --model net.py:Net"
    )
    assert not (folder / "executed").exists()
    models.build("net.py:Net", 5, seed=0, typed=True)
    assert (folder / "executed").exists()


@pytest.mark.parametrize("name", ["net.py", "net.py:", "net.py:1", "net.py:a-b", ".py:Net", "net.txt:Net", "a/.py:N"])
def test_other_forms_are_no_files(name):
    with pytest.raises(RequestError, match=r"unknown model .*; allowed: .*; FILE\.py:NAME"):
        models.check_name(name)


def test_a_name_is_accepted_without_the_file_and_without_torch():
    import subprocess

    code = (
        "from engine import models; import sys; models.check_name('absent.py:Net'); "
        "assert models.digest('wrn-16-1') is None and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_wrong_is_said_in_a_line(folder):
    assert refused("absent.py:Net") == "absent.py cannot be read (No such file or directory)"
    with pytest.raises(RequestError, match="cannot be read"):
        models.digest("absent.py:Net")
    write(folder / "net.py", net() + "\nmade = Net(5)\nnumber = 3\n\n\ndef text(n):\n    return 'n'\n")
    assert refused("net.py:Nett") == "there is no Nett in the file"
    assert refused("net.py:made") == "made is of type Net: a function or class is wanted"
    assert refused("net.py:number") == "number is of type int: a function or class is wanted"
    assert refused("net.py:text") == "text gives a str, not a torch.nn.Module"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero (broken.py, line 2)"),
        ("def Net(:\n", "SyntaxError: invalid syntax"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' (broken.py, line 1)"),
        ("import sys\nsys.exit('no')\n", "SystemExit: no (broken.py, line 2)"),
        ("def Net(a, b):\n    pass\n", "missing 1 required positional argument: 'b'"),
        ("import torch\ndef Net(n):\n\n    return torch.nn.Linear(n, -1)\n", "(broken.py, line 4)"),
        ("def Net():\n    raise ValueError('one\\ntwo')\n", "ValueError: one two (broken.py, line 2)"),
    ],
)
def test_what_the_file_raises_is_told_with_its_place(folder, source, message):
    write(folder / "broken.py", source)
    assert message in refused("broken.py:Net")


def test_a_file_finds_its_own_neighbors_and_leaves_no_trace(folder):
    for name, value in (("one", 3), ("two", 4)):
        write(folder / name / "nt_parts.py", f"COUNT = {value}\n")
        write(folder / name / "net.py", "from nt_parts import COUNT\n" + net("", "COUNT"))
    path = list(sys.path)
    for name, value in (("one", 3), ("two", 4)):
        network = models.build(f"{name}/net.py:Net", 5, typed=True)
        assert network(torch.rand(1, 3, 8, 8)).shape == (1, value)
    assert sys.path == path
    assert "nt_parts" not in sys.modules and "net" not in sys.modules
    assert not list(folder.glob("*/__pycache__/net.*"))


def test_an_edited_file_is_another_network(folder):
    write(folder / "net.py", net("", "3"))
    before = models.digest("net.py:Net")
    models.build("net.py:Net", 5, typed=True)
    write(folder / "net.py", net("", "4"))
    assert models.build("net.py:Net", 5, typed=True)(torch.rand(1, 3, 8, 8)).shape == (1, 4)
    assert models.digest("net.py:Net") != before


def test_the_logits_are_tried_on_real_images(folder):
    source = net("", "7")
    for name, body in (
        ("Fixed", "self.fc(images.flatten(1))"),
        ("Flat", "super().forward(images).sum(1)"),
        ("Twice", "(super().forward(images),) * 2"),
    ):
        source += f"\n\nclass {name}(Net):\n    def forward(self, images):\n        return {body}\n"
    write(folder / "net.py", source)
    images = torch.rand(4, 3, 8, 8)

    def refusal(name: str) -> str:
        network = models.build(f"net.py:{name}", 5, typed=True)
        with pytest.raises(RequestError) as caught:
            check_logits(network, images, 5)
        assert network.training
        return str(caught.value).removeprefix(f"model.name = 'net.py:{name}': ")

    assert refusal("Net") == "it gives 7 logits for an image, the data set has 5 classes"
    assert refusal("Flat") == "it gives 4 for 4 images, not 4x5 logits"
    assert refusal("Twice") == "it gives a tuple for 4 images, not 4x5 logits"
    line = source[: source.index("self.fc(images.flatten(1))")].count("\n") + 1
    assert refusal("Fixed").startswith("it cannot take images of 8x8 (RuntimeError: mat1 and mat2 shapes")
    assert refusal("Fixed").endswith(f"(net.py, line {line}))")
    check_logits(models.build("wrn-10-1", 5, seed=0), images, 5)
