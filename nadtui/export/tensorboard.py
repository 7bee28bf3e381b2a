"""TensorBoard: a run's curves as event files in a folder, for those whose tools read these (`nadtui[tensorboard]`).

Every stage's loss with its parts, learning rate, ACC, ASR, RA and base by its steps; the attention maps of the samples
as images; the configuration as text. Wall clock times are the run's own.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.record.stage_view import StageView
from nadtui.draw.attention_maps import samples
from nadtui.export import png_file
from nadtui.runs.digest import Report

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

NAME = "tensorboard"
FIGURES = {"acc": "ACC", "asr": "ASR", "ra": "RA", "base": "base"}


def write(report: Report, folder: Path) -> None:
    """Write the run's event file into a folder that is new or empty.

    Raises:
        RequestError: the package is missing, or the folder cannot be written or holds something.
    """
    writer = _writer(folder)
    try:
        for stage in report.view.stages.values():
            _curves(writer, stage, report.view.started)
        _maps(writer, report)
        writer.add_text("configuration", f"```yaml\n{report.configuration()}\n```", walltime=report.view.started)
    finally:
        writer.close()


def _writer(folder: Path) -> SummaryWriter:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise RequestError(f"--format {NAME} needs a package: pip install 'nadtui[{NAME}]'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RequestError(f"{folder}: holds something already; name a new or empty folder with -o")
        return SummaryWriter(str(folder))
    except OSError as error:
        raise RequestError(f"cannot write {folder}: {error.strerror or error}") from error


def _curves(writer: SummaryWriter, stage: StageView, started: float) -> None:
    def add(name: str, value: float, step: int, seconds: float) -> None:
        if value == value:  # no figure is no point
            writer.add_scalar(f"{stage.name}/{name}", value, global_step=step, walltime=started + stage.began + seconds)

    for point in stage.losses:
        add("loss", point.loss, point.step, point.seconds)
        add("learning rate", point.lr, point.step, point.seconds)
        for part, value in point.parts.items() if len(point.parts) > 1 else ():
            add(f"loss, {part}", value, point.step, point.seconds)
    for point in stage.evaluations:
        for key, title in FIGURES.items():
            add(title, getattr(point.metrics, key), point.step, point.seconds)
    looked = {point.epoch: point for point in stage.evaluations}
    for shadow in stage.shadows:
        for name, value in shadow.figures.items() if shadow.epoch in looked else ():
            point = looked[shadow.epoch]
            add(f"shadow ASR, {name}", value, point.step, point.seconds)


def _maps(writer: SummaryWriter, report: Report) -> None:
    for number in samples(report.view):
        picture = _pixels(png_file.render_sample(report.view, number))
        writer.add_image(f"attention/sample {number}", picture, dataformats="HWC", walltime=report.view.started)


def _pixels(png: bytes) -> Any:
    """uint8 [H, W, 3]."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
