"""A run as TensorBoard's event files, read back by another reader of the format than its writer."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from engine.errors import RequestError
from nadtui.cli.export import export
from nadtui.export import tensorboard
from nadtui.runs.digest import Report


def events(folder: Path) -> list[Event]:
    """The records of the one event file: length, its checksum, content, its checksum (TFRecord)."""
    [file] = folder.iterdir()
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    known: dict[str, list[tuple[int, float, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                known.setdefault(value.tag, []).append((event.step, value.simple_value, event.wall_time))
    return known


def test_every_stages_curves_are_there_with_their_steps_and_times(report: Report, tmp_path: Path):
    tensorboard.write(report, tmp_path / "board")
    found = scalars(tmp_path / "board")
    for stage in report.view.stages.values():
        points = found[f"{stage.name}/loss"]
        assert [step for step, _, _ in points] == [point.step for point in stage.losses]
        assert [value for _, value, _ in points] == pytest.approx([point.loss for point in stage.losses], rel=1e-6)
        assert all(time >= report.view.started for _, _, time in points)
        evaluated = found[f"{stage.name}/ACC"]
        assert [value for _, value, _ in evaluated] == pytest.approx([e.metrics.acc for e in stage.evaluations])


def test_maps_and_configuration_are_there(report: Report, tmp_path: Path):
    export(str(report.folder), "tensorboard", tmp_path / "board", None)
    tags = {value.tag for event in events(tmp_path / "board") for value in event.summary.value}
    assert any(tag.startswith("attention/") for tag in tags)
    assert any(tag.startswith("configuration") for tag in tags)


def test_it_wants_a_folder_of_its_own(report: Report, tmp_path: Path):
    with pytest.raises(RequestError, match="folder"):
        export(str(report.folder), "tensorboard", None, None)
    (tmp_path / "kept.txt").touch()
    with pytest.raises(RequestError, match="holds something"):
        tensorboard.write(report, tmp_path)


def test_the_missing_package_is_said(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(RequestError, match=r"nadtui\[tensorboard\]"):
        tensorboard.write(report, tmp_path / "board")
