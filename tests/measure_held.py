"""Whether the loss of ACC that a budget is kept by is the loss there is; prints, asserts nothing.

    nadtui run --preset P --dataset D --suspect zoo:NAME --budget 0 --headless --out DIR        (any number of them)
    python -m tests.measure_held DIR

Of every run's trial student, which never saw the held images, the points of ACC that it loses against the suspect: on
all test images, on the held images as they are, and on the copies of them by which a rung is judged. The suspect was
trained on the held images: how much more of them than of test images it knows stands beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor, nn

from engine import data, models
from engine.config.presets import resolve
from engine.data.base import silent
from engine.data.clean import set_apart
from engine.defenses.base import LabeledImages, Port
from engine.defenses.budget import copies
from engine.defenses.nad.taught import TRIAL
from engine.device import Device, choose
from engine.models.inference import freeze, predict
from engine.record.layout import CONFIG, SUMMARY, checkpoint_file
from engine.running.defending import held_places
from engine.storage.checkpoints import fit, load_weights


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(line + "\n")


def right(model: nn.Module, images: Tensor, labels: Tensor, device: Device) -> float:
    """ACC in percent."""
    return 100 * float((predict(model, images, device) == labels).float().mean())


def lost(run: Path) -> tuple[float, float, float, float]:
    """What a run's trial student loses: of test images, of held images, of their copies; and the suspect's lead."""
    config = resolve(None, config_file=run / CONFIG)
    device = choose("cpu", config.precision)
    loaded, clean = set_apart(data.load(config.data, silent), config.data, config.seed)
    (defense,) = config.defenses.values()
    held = clean[held_places(config, defense, len(clean))]

    def model(stage: str) -> nn.Module:
        size = tuple(loaded.x_test.shape[-2:])
        made = models.build(config.model.name, loaded.classes, 0, size=size)
        fit(made, load_weights(checkpoint_file(run, stage))[0], run)
        return freeze(made)

    suspect, student = model("attack"), model(f"{TRIAL}{defense.name}")
    kept = LabeledImages(held.images, held.labels)
    port = Port(suspect, kept, kept, loaded.classes, (), device, config.seed, mirror=bool(config.data.mirror))
    moved = torch.cat(copies(port)), held.labels.repeat(len(copies(port)))
    places = (loaded.x_test, loaded.y_test), (held.images, held.labels), moved
    known = [[right(each, *place, device) for place in places] for each in (suspect, student)]
    of_test, of_held, of_copies = (before - after for before, after in zip(*known, strict=True))
    return of_test, of_held, of_copies, known[0][1] - known[0][0]


def main(folder: Path) -> None:
    """A line a run, then by data set how far both estimates are off."""
    off: dict[str, list[tuple[float, float]]] = {}
    for file in sorted(folder.rglob(SUMMARY)):
        config = resolve(None, config_file=file.parent / CONFIG)
        of_test, of_held, of_copies, lead = lost(file.parent)
        off.setdefault(config.data.name, []).append((of_held - of_test, of_copies - of_test))
        say(
            f"{config.suspect}, subset {config.seed}: loses {of_test:.1f} of test images, {of_held:.1f} of those held, "
            f"{of_copies:.1f} of their copies; the suspect knows {lead:.1f} more of those held"
        )
    for name, pairs in off.items():
        for title, values in zip(("held images", "copies"), zip(*pairs, strict=True), strict=True):
            spread = f" ± {stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
            say(f"{name}: by {title} the loss seems {fmean(values):.1f}{spread} larger than it is ({len(values)} runs)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
