"""An attack alone, for other tools: its trigger made, measured, and written out with the images it poisons.

<out>/config.yaml              what repeats it
      poisoned.json            places of the poisoned and of the cover images in the training set
      trigger.safetensors      what defines the trigger
      index.csv                a row for each image: file, split, place, class, label given, what was done to it, names
      images/*.png
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.attacks.base import AttackContext, PoisonedSet, Trigger
from engine.config.run import RunConfig
from engine.control import Control
from engine.data.base import ImageData, Note
from engine.device import choose
from engine.errors import RequestError
from engine.evaluation.metrics import live_draw
from engine.evaluation.visibility import Visibility, visibility
from engine.events import Event, Message
from engine.running import conveniences, scarce
from engine.running.conveniences import wait_for
from engine.running.lending import lend
from engine.running.network import Network
from engine.running.prepare import aimed, load_data
from engine.running.processor_queue import check_threads
from engine.storage.checkpoints import save_weights
from engine.storage.paths import write_atomically

MEASURED = 1_000
"""Test images whose visibility is measured, a fixed draw."""
COLUMNS = ("file", "split", "index", "class", "label", "kind", "class_name", "label_name")


@dataclass(frozen=True)
class MadeAttack:
    """An attack carried out on a data set, up to the poisoned training set."""

    config: RunConfig
    data: ImageData
    context: AttackContext
    trigger: Trigger


def make(
    config: RunConfig, control: Control | None = None, *, typed_model: bool = False
) -> Generator[Event, None, MadeAttack]:
    """Load the data and make the trigger; one that learns with its model is trained with it.

    Raises:
        RequestError: there is no attack, or it cannot be carried out on that data.
    """
    if config.attack is None:
        raise RequestError("there is no attack: name a preset, or give attack.name")
    control = control or Control()
    device = choose(config.device, config.precision)
    threads = check_threads(config.threads)
    loaded = yield from load_data(config.data, control)
    config, said = aimed(config, loaded)
    config.attack.check(loaded.classes, *loaded.x_train.shape[-2:])
    scarce.check_eligible(config.attack, loaded)
    scarce.poisoned(config, loaded)
    for note in (*loaded.notes, *(Note(line, warning=True) for line in said)):
        yield Message(level="warning" if note.warning else "info", text=note.text)
    torch.set_num_threads(threads)
    extras = conveniences.found()
    if extras.warning:
        yield Message(level="warning", text=extras.warning)
    with ExitStack() as held:
        claim = held.enter_context(extras.claim(config.threads, "attack", str(device)))
        yield from wait_for(claim, control)
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="nadtui-")))
        network = Network.of(config, loaded, typed=typed_model)
        lent = lend(config, loaded, network, device, control, scratch, extras.cache, recall=True)
        images, labels = loaded.x_train.to(device.torch), loaded.y_train.to(device.torch)
        context = AttackContext(images, labels, loaded.classes, config.attack_seed, lent)
        trigger = yield from config.attack.build(context)
        if config.attack.learns:
            trigger = yield from lent.learned(config.attack, context, trigger)
    return MadeAttack(config, loaded, context, trigger)


def measure(made: MadeAttack) -> Visibility | None:
    """How visible the trigger is on test images that the attacker wants moved; None where there is no trigger."""
    attack, data = made.config.attack, made.data
    if not attack.marks:
        return None
    eligible = attack.eligible(data.y_test, data.classes).nonzero().flatten()
    clean = data.x_test[eligible[live_draw(data.y_test[eligible], MEASURED)]]
    return visibility(clean, _triggered(made, clean))


def _triggered(made: MadeAttack, images: Tensor) -> Tensor:
    device = made.context.images.device
    return torch.cat([made.trigger(part.to(device)).cpu() for part in images.split(500)] or [images])


def check_out(out: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        RequestError: it is a file, cannot be read, or is not empty.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RequestError(f"--out {out}: there is something already; an empty or a new folder is wanted")
    except OSError as error:
        raise RequestError(f"--out {out}: cannot be read ({error.strerror})") from None


def export(made: MadeAttack, out: Path, images: int) -> list[dict[str, str | int]]:
    """Write the attack to the folder `out`, whole or not at all, and return its index.

    At most `images` poisoned training images and as many covers, each beside its clean original, and as many test
    images without and with the trigger.

    Raises:
        RequestError: the folder holds something already or cannot be written.
    """
    check_out(out)
    hidden = out.with_name(f".{out.name}-{secrets.token_hex(4)}")
    try:
        rows = _fill(made, hidden, images)
        if out.is_dir():
            out.rmdir()
        hidden.rename(out)
    except OSError as error:
        raise RequestError(f"--out {out}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return rows


def _fill(made: MadeAttack, folder: Path, images: int) -> list[dict[str, str | int]]:
    (folder / "images").mkdir(parents=True)
    poisoned = made.config.attack.poison(made.context, made.trigger)
    write_atomically(folder / "config.yaml", made.config.to_yaml().encode())
    places = {"indices": poisoned.indices.tolist(), "covers": poisoned.covers.tolist()}
    about = {"split": "train", "images": len(poisoned.labels), "data": made.data.fingerprint}
    write_atomically(folder / "poisoned.json", json.dumps({**about, **places}).encode())
    save_weights(folder / "trigger.safetensors", made.trigger.tensors(), {"attack": made.config.attack.name})
    rows = []
    for row, pixels in (*_train_pairs(made, poisoned, images), *_test_pairs(made, images)):
        write_atomically(folder / str(row["file"]), _png(pixels))
        names = {f"{key}_name": made.data.class_names[int(row[key])] for key in ("class", "label")}
        rows.append({**row, **names})
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "index.csv", table.getvalue().encode())
    return rows


Sample = tuple[dict[str, str | int], Tensor]


def _train_pairs(made: MadeAttack, poisoned: PoisonedSet, images: int) -> Iterator[Sample]:
    for kind, places in (("poisoned", poisoned.indices), ("cover", poisoned.covers)):
        for place in places[:images].tolist():
            label = int(made.context.labels[place])
            yield _sample("train", place, label, label, "clean"), made.context.images[place]
            yield _sample("train", place, label, int(poisoned.labels[place]), kind), poisoned.images[place]


def _test_pairs(made: MadeAttack, images: int) -> Iterator[Sample]:
    attack, data = made.config.attack, made.data
    eligible = attack.eligible(data.y_test, data.classes).nonzero().flatten()[:images]
    wanted = attack.wanted(data.y_test[eligible], data.classes).tolist()
    clean = data.x_test[eligible]
    triggered = _triggered(made, clean)
    for number, place in enumerate(eligible.tolist()):
        label = int(data.y_test[place])
        yield _sample("test", place, label, label, "clean"), clean[number]
        if attack.marks:
            yield _sample("test", place, label, wanted[number], "triggered"), triggered[number]


def _sample(split: str, place: int, true: int, label: int, kind: str) -> dict[str, str | int]:
    file = f"images/{split}-{place:06}-{kind}.png"
    return {"file": file, "split": split, "index": place, "class": true, "label": label, "kind": kind}


def _png(pixels: Tensor) -> bytes:
    """A uint8 image [3, H, W] as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels.cpu().permute(1, 2, 0).contiguous().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()
