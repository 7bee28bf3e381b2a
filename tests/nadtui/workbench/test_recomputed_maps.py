"""Maps under another operator: what cannot be computed says so in a line, the rest is."""

import pytest
import torch

from engine import models
from engine.errors import RequestError
from engine.record.folder import RunFolder
from engine.record.view import fold
from engine.storage.checkpoints import save_weights
from nadtui.workbench.recomputed_maps import Task, compute, compute_if, task
from nadtui.workbench.shown_maps import ShownMaps
from tests import run_folders


def run(tmp_path):
    """A folder with the checkpoints of a suspect and of two purified models, one of them edited."""
    network = models.build("wrn-10-1", 10, seed=0)
    weights = network.state_dict()
    for stage, more in (("attack", {}), ("nad", {}), ("fine-tuning", {"bound.weight": torch.ones(3)})):
        save_weights(RunFolder(tmp_path).checkpoint(stage), {**weights, **more}, {})
    view = fold(run_folders.side_by_side(attacked=False))
    view.model["name"] = "wrn-10-1"
    return view


def test_an_edited_network_says_so_and_the_others_are_computed(tmp_path):
    view = run(tmp_path)
    found = compute(task(view, tmp_path, "mean"))
    assert {stage for stage, _, _ in found.maps} == {"attack", "nad"}
    assert not any(each.triggered for each in found.maps.values())
    shown = ShownMaps()
    shown.recomputed = found
    rows = {row.title: row.when for row in shown.grid(view, "epoch", None, "both", 60, live=False).rows}
    assert rows["fine-tuning"] == "its network is fine-tuning's own: recorded maps only"
    assert rows["nad"] == "mean, from its checkpoint"


def test_a_suspect_that_does_not_fit_is_an_error_and_not_an_edit(tmp_path):
    view = run(tmp_path)
    save_weights(RunFolder(tmp_path).checkpoint("attack"), {"other": torch.ones(1)}, {})
    found = compute_if(task(view, tmp_path, "mean"), lambda: True)
    assert found.note.startswith("cannot be computed") and "does not fit" in found.note


def test_a_network_of_a_file_is_never_executed(tmp_path):
    view = run(tmp_path)
    view.model["name"] = f"{tmp_path}/mine.py:Net"
    with pytest.raises(RequestError, match="executed only when it is typed"):
        task(view, tmp_path, "mean")


def test_what_is_computed_is_told_by_the_view(tmp_path):
    asked = task(run(tmp_path), tmp_path, "mean")
    assert isinstance(asked, Task)
    assert asked.stages == {"attack": "", "teacher": "nad", "nad": "nad", "fine-tuning": "fine-tuning"}


def test_recomputed_maps_are_those_of_the_record(tmp_path):
    """The record's maps and those recomputed under the run's own operator are the same bytes."""
    import torch

    from engine import models
    from engine.attention.capture import Capture
    from engine.device import choose
    from engine.storage.checkpoints import save_weights
    from nadtui.workbench.recomputed_maps import Task, compute

    model = models.build("wrn-10-1", 3, seed=5)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator)
    labels = torch.tensor([0, 1])
    capture = Capture(images, images.flip(-1), labels, labels, operator="mean_p", p=3.0, device=choose("cpu", "fp32"))
    wanted = {("nad", each.sample, each.tap): each for each in capture.look("nad", 4, model)[0]}
    save_weights(RunFolder(tmp_path).checkpoint("nad"), model.state_dict(), {})
    found = compute(
        Task(tmp_path, {"attack": "", "nad": "nad"}, list(capture.samples()), "wrn-10-1", 3, "mean_p", 3.0)
    ).maps
    assert len(found) == len(wanted) == 6
    for key, each in found.items():
        assert (each.clean, each.triggered) == (wanted[key].clean, wanted[key].triggered)
        assert each.peak == pytest.approx(wanted[key].peak)
