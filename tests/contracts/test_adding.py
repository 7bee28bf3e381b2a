"""What it takes to add something: one new file, and one line in the registry of its kind; then it runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.config.layers import merge
from tests.headless import FEW, run

ROOT = Path(__file__).parents[2]
CODE = ("engine", "nadtui", "presets")

ATTACK = '''"""Stripes: white rows."""

from typing import Literal

from engine.attacks.base import Attack


class Stripes(Attack):
    name: Literal["stripes"] = "stripes"

    def build(self, context):
        yield from ()
        return White()


class White:
    def __call__(self, images):
        images = images.clone()
        images[..., :2, :] = 255
        return images

    def tensors(self):
        return {}
'''
TRAINING = '''"""Half: a helper trained from the suspect, and a copy trained to agree with it."""

from typing import ClassVar

from engine.defenses.base import Defense, Stage
from engine.settings import TrainingSettings


class Half(Defense):
    name: ClassVar[str] = "half"
    training: TrainingSettings = TrainingSettings(epochs=1, batch_size=20, lr=0.05)

    def stages(self):
        return Stage("half-helper", "reference"), Stage("half", needs=("half-helper",))

    def defend(self, port):
        from engine.models.inference import freeze
        from engine.training.loop import cross_entropy

        helper = freeze((yield from port.train("half-helper", port.copy(), cross_entropy, self.training)))

        def agreement(model, batch):
            return {"agreement": (model(batch.images) - helper(batch.images)).square().mean()}

        return freeze((yield from port.train("half", port.copy(), agreement, self.training)))
'''
EDITING = '''"""Prune: the smallest weights of every layer become 0."""

from typing import ClassVar

from engine.defenses.base import Defense


class Prune(Defense):
    name: ClassVar[str] = "prune"
    share: float = 0.2

    def defend(self, port):
        import torch

        from engine.models.inference import freeze

        model = port.copy()
        with torch.no_grad():
            for weights in model.parameters():
                weights[weights.abs() < weights.abs().flatten().float().quantile(self.share)] = 0
        return freeze((yield from port.adopt("prune", model)))
'''
NETWORK = '''"""Four: four convolutions, each a tap."""

from engine.models.families import Family
from engine.models.taps import Tap

WIDTHS, STRIDES = (8, 8, 16, 16), (1, 2, 2, 4)


def build(number, classes):
    from torch import nn

    class Four(nn.Module):
        tap_names = ("one", "two", "three", "four")

        def __init__(self):
            super().__init__()
            self.name = "four-4"
            self.layers = nn.ModuleList(
                nn.Conv2d(before, after, 3, stride=after_stride // before_stride, padding=1)
                for before, after, before_stride, after_stride in zip((3, *WIDTHS), WIDTHS, (1, *STRIDES), STRIDES)
            )
            self.fc = nn.Linear(WIDTHS[-1], classes)

        def forward_with_taps(self, images):
            maps = []
            for layer in self.layers:
                images = layer(images).relu()
                maps.append(images)
            return self.fc(images.mean(dim=(2, 3))), tuple(maps)

        def forward(self, images):
            return self.forward_with_taps(images)[0]

    return Four()


FAMILY = Family(
    form="four-4",
    pattern="four-(4)",
    fits=lambda number: True,
    build=build,
    taps=lambda number: tuple(map(Tap, ("one", "two", "three", "four"), WIDTHS, STRIDES)),
)
'''
SOURCE = '''"""Gray: noise, light or dark."""

import torch

from engine.data.base import assemble


def load(settings, progress):
    draw = torch.Generator().manual_seed(0)

    def part(count):
        labels = torch.arange(count) % 2
        noise = torch.randint(0, 128, (count, 3, settings.size, settings.size), generator=draw)
        return (noise + 127 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels

    train, test = part(settings.train_images or 100), part(settings.test_images or 50)
    return assemble("gray", train, test, ["dark", "light"], "gray")
'''


@dataclass(frozen=True)
class Added:
    """Something new: its file, its line, and how it is asked for."""

    file: str
    text: str
    registry: str
    line: str
    config: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ("--defense", "fine-tuning", "--epochs", "fine-tuning=1")
    stages: tuple[str, ...] = ("attack", "fine-tuning")
    taps: int = 3


NEW = {
    "an attack": Added(
        "engine/attacks/stripes.py",
        ATTACK,
        "engine/attacks/__init__.py",
        '        "stripes": "engine.attacks.stripes:Stripes",\n',
        {"attack": {"name": "stripes"}},
    ),
    "a defense that trains": Added(
        "engine/defenses/half.py",
        TRAINING,
        "engine/defenses/__init__.py",
        '        "half": "engine.defenses.half:Half",\n',
        options=("--defense", "half"),
        stages=("attack", "half-helper", "half"),
    ),
    "a defense that edits weights": Added(
        "engine/defenses/prune.py",
        EDITING,
        "engine/defenses/__init__.py",
        '        "prune": "engine.defenses.prune:Prune",\n',
        options=("--defense", "prune"),
        stages=("attack", "prune"),
    ),
    "a network of four taps": Added(
        "engine/models/four.py",
        NETWORK,
        "engine/models/__init__.py",
        '        "four": "engine.models.four:FAMILY",\n',
        options=("--model", "four-4", "--defense", "nad", "--epochs", "teacher=1", "--epochs", "nad=1"),
        stages=("attack", "teacher", "nad"),
        taps=4,
    ),
    "a data source": Added(
        "engine/data/gray.py",
        SOURCE,
        "engine/data/__init__.py",
        '        "gray": "engine.data.gray",\n',
        {"data": {"name": "gray"}},
        options=("--dataset", "gray", "--defense", "fine-tuning", "--epochs", "fine-tuning=1"),
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code, to add to."""
    for name in CODE:
        shutil.copytree(ROOT / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "code"


@pytest.mark.parametrize("what", NEW)
def test_one_file_and_one_line_are_all_it_takes(copy, tmp_path, what):
    new = NEW[what]
    (copy / new.file).write_text(new.text)
    registry = copy / new.registry
    registry.write_text(with_line(registry.read_text(), new.line))
    assert changed(copy) == {new.file: len(new.text.splitlines()), new.registry: 1}
    summary = run(merge(FEW, new.config), *new.options, path=[copy], folder=tmp_path)
    assert tuple(each["stage"] for each in summary["stages"]) == new.stages
    assert all(each["state"] == "finished" for each in summary["stages"])
    assert len(summary["model"]["taps"]) == new.taps


def with_line(text: str, line: str) -> str:
    """The registry with a line more in its table of ours: after the last entry."""
    lines = text.splitlines(keepends=True)
    last = max(number for number, each in enumerate(lines) if each.startswith('        "') and '": "engine.' in each)
    return "".join([*lines[: last + 1], line, *lines[last + 1 :]])


def changed(copy: Path) -> dict[str, int]:
    """By file that is new or another than ours, how many lines it has more."""
    found = {}
    for file in sorted(file for file in copy.rglob("*") if file.is_file()):
        name = str(file.relative_to(copy))
        ours = ROOT / name
        before = ours.read_bytes() if ours.is_file() else b""
        if file.read_bytes() != before:
            found[name] = len(file.read_text().splitlines()) - len(before.splitlines())
    return found
