"""Weights on disk: whole files or none, strangers' formats, and what must be refused."""

import os
import pickle
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine import models
from engine.errors import RequestError
from engine.storage import paths
from engine.storage.checkpoints import fit, load_foreign, load_weights, save_weights


@pytest.fixture
def network():
    return models.build("wrn-10-1", 5, seed=1)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def refusal(call, *arguments):
    """The message of the RequestError that the call must raise: always one line."""
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- our own files ---


def test_round_trip_keeps_names_dtypes_values_and_metadata(tmp_path):
    shared = torch.arange(6.0)
    tensors = {
        "a": shared,
        "same memory": shared,
        "view": torch.arange(12).reshape(3, 4).t(),
        "channels last": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "scalar": torch.tensor(7),
    }
    save_weights(tmp_path / "made" / "state.safetensors", tensors, {"epoch": "3"})
    loaded, metadata = load_weights(tmp_path / "made" / "state.safetensors")
    assert metadata == {"epoch": "3"}
    assert same(loaded, tensors)
    assert all(loaded[name].dtype == tensors[name].dtype for name in tensors)


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(4)}, {})
    loaded, _ = load_weights(path)
    with path.open("r+b") as file:
        file.seek(-16, os.SEEK_END)
        file.write(b"\xff" * 16)
    assert torch.equal(loaded["a"], torch.zeros(4))


@pytest.mark.parametrize("kept", [0, 4, 40, 0.5, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, network, kept):
    path = tmp_path / "cut.safetensors"
    save_weights(path, network.state_dict(), {"stage": "attack"})
    content = path.read_bytes()
    length = int(len(content) * kept) if isinstance(kept, float) else kept
    path.write_bytes(content[:length])
    assert str(path) in refusal(load_weights, path)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(2)}, {})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paths.os, "fsync", full)
    message = refusal(save_weights, path, {"a": torch.ones(2)}, {})
    assert "No space left on device" in message
    assert str(path) in message
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]
    assert torch.equal(load_weights(path)[0]["a"], torch.zeros(2))


def test_a_folder_that_cannot_be_made_is_a_request_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    refusal(save_weights, tmp_path / "file" / "w.safetensors", {"a": torch.zeros(1)}, {})


def test_a_reader_beside_a_writer_never_sees_half_a_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(100_000)}, {})
    done = threading.Event()

    def write():
        for value in range(20):
            save_weights(path, {"a": torch.full((100_000,), float(value))}, {})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        values = load_weights(path)[0]["a"]
        assert (values == values[0]).all()
    writer.join()


# --- strangers' files ---


@pytest.mark.parametrize("ending", [".pt", ".pth", ".tar"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_accepted_form_of_a_pickled_checkpoint(tmp_path, network, ending, wrapper, prefix):
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    path = tmp_path / f"model{ending}"
    torch.save({"epoch": 3, wrapper: state, "acc": 91.2} if wrapper else state, path)
    assert same(load_foreign(path), network.state_dict())


def test_legacy_format_and_parameters_instead_of_tensors(tmp_path, network):
    path = tmp_path / "old.pth"
    torch.save(dict(network.named_parameters()), path, _use_new_zipfile_serialization=False)
    loaded = load_foreign(path)
    assert same(loaded, dict(network.named_parameters()))
    assert not any(tensor.requires_grad for tensor in loaded.values())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_safetensors_from_elsewhere(tmp_path, network, prefix):
    path = tmp_path / "model.safetensors"
    save_file({prefix + name: tensor for name, tensor in network.state_dict().items()}, path)
    assert same(load_foreign(path), network.state_dict())


class Malicious:
    """A pickle of this creates a file as soon as a careless reader opens it."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ending", [".pt", ".pth", ".tar"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, network, ending, zipped):
    victim, path = tmp_path / "executed", tmp_path / f"evil{ending}"
    content = {"state_dict": network.state_dict(), "hook": Malicious(victim)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    message = refusal(load_foreign, path)
    assert not victim.exists()
    assert str(path) in message
    assert f"{os.system.__module__}.system" in message
    assert "safetensors" in message
    # The pickle is a live one: read without protection, it does create the file.
    torch.load(path, weights_only=False)
    assert victim.exists()


def test_a_malicious_plain_pickle_is_refused_and_not_executed(tmp_path):
    victim, path = tmp_path / "executed", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Malicious(victim), protocol=2))
    refusal(load_foreign, path)
    assert not victim.exists()


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".pth", ".tar"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"not a checkpoint at all\n" * 50, b"PK\x03\x04 half a zip", b"\x80\x02}q\x00."]
)
def test_rubbish_is_refused(tmp_path, ending, content):
    path = tmp_path / f"rubbish{ending}"
    path.write_bytes(content)
    assert str(path) in refusal(load_foreign, path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_pickle_is_refused(tmp_path, network, share, zipped):
    path = tmp_path / "cut.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert str(path) in refusal(load_foreign, path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (torch.zeros(3), "Tensor"),
        ([1, 2], "list"),
        ({}, "nothing"),
        ({"state_dict": {}}, "'state_dict' (nothing)"),
        ({"epoch": 3}, "'epoch' (int)"),
        ({"state_dict": {"conv1.weight": "words"}}, "'state_dict' (dict)"),
        ({0: torch.zeros(1)}, "0 (Tensor)"),
    ],
)
def test_a_pickle_without_a_state_dict_says_what_it_holds(tmp_path, content, told):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    assert told in refusal(load_foreign, path)


def test_missing_file_and_folder(tmp_path):
    assert "no such file" in refusal(load_foreign, tmp_path / "absent.pth")
    (tmp_path / "folder.pth").mkdir()
    assert "cannot read" in refusal(load_foreign, tmp_path / "folder.pth")


# --- fitting a state dict to a network ---


WHERE = Path("some/model.pth")


def test_fit_converts_dtypes_and_needs_no_batch_counts(network):
    state = {
        name: tensor.to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float64)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    other = models.build("wrn-10-1", 5, seed=2)
    fit(other, state, WHERE)
    assert all(parameter.dtype == torch.float32 for parameter in other.parameters())
    torch.testing.assert_close(other.state_dict(), network.state_dict())


def test_another_width_is_refused_with_the_first_three_mismatches(network):
    wide = models.build("wrn-10-2", 5).state_dict()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = refusal(fit, network, wide, WHERE)
    assert str(WHERE) in message
    assert "block1.layer.0.conv1.weight: file 32x16x3x3, wrn-10-1 wants 16x16x3x3" in message
    assert message.count("file ") == 3
    assert "more" in message
    assert same(network.state_dict(), before)


def test_missing_and_superfluous_tensors_are_named(network):
    state = network.state_dict()
    state["fc.scale"] = torch.ones(5, 2)
    del state["fc.bias"]
    message = refusal(fit, network, state, WHERE)
    assert "fc.bias: missing in the file, wrn-10-1 wants 5" in message
    assert "fc.scale: file 5x2, wrn-10-1 has no such tensor" in message


def test_quantized_weights_are_refused(network):
    state = {**network.state_dict(), "fc.weight": torch.ones(5, 64, dtype=torch.int8)}
    assert "fc.weight: file int8, wrn-10-1 wants float32" in refusal(fit, network, state, WHERE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_loaded(network, value):
    state = {name: tensor.clone() + 1 for name, tensor in network.state_dict().items()}
    state["fc.weight"] = state["fc.weight"].double()
    state["fc.weight"][2, 3] = value
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = refusal(fit, network, state, WHERE)
    assert "fc.weight" in message
    assert "not finite" in message
    assert same(network.state_dict(), before)
