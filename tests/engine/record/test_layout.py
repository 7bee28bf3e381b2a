"""Names: of run folders, and of what lies in them."""

import pytest

from engine.record.folder import RunFolder
from engine.record.layout import run_id
from tests.engine.record.made import NOW, refusal


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [("signs", "signs"), ("/data/My Photos (2).npz", "my-photos-2"), ("../..", "data"), ("ein/Bäume", "b-ume")],
)
def test_a_path_as_data_set_becomes_a_plain_name(dataset, shown):
    assert run_id("sig", dataset, 0, NOW) == f"20260304-050607-sig-{shown}-s0"


def test_checkpoints_have_their_places_and_names_are_checked(tmp_path):
    run = RunFolder(tmp_path)
    assert run.checkpoint("fine-tuning") == tmp_path / "checkpoints" / "fine-tuning.safetensors"
    assert run.state("nad") == tmp_path / "checkpoints" / "nad.state.safetensors"
    for name in ("", "../nad", "nad/..", "/etc/passwd", "nad.state", "Nad", "nad\n", "a" * 65):
        refusal(run.checkpoint, name)
        refusal(run.state, name)
