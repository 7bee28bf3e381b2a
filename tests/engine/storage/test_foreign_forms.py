"""Checkpoints as people save them: harmless objects, wrappers, prefixes, counters, kinds of tensors, wrong endings."""

from __future__ import annotations

import argparse
import collections
import datetime
import gzip
import io
import json
import pathlib
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from engine import models
from engine.errors import RequestError
from engine.storage.checkpoints import fit, load_foreign, read_for
from engine.storage.contents import open_checkpoint
from engine.storage.state_dicts.fitting import MisfitError


@pytest.fixture(scope="module")
def network():
    return models.build("wrn-10-1", 5, seed=1)


def refusal(path, network):
    """The one line that a file is refused with."""
    with pytest.raises(RequestError) as caught:
        fit(models.build("wrn-10-1", 5, seed=2), load_foreign(path, network), path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_loads(path, network):
    """Both ways of reading it give the network's weights."""
    for state in (load_foreign(path), load_foreign(path, network)):
        other = models.build("wrn-10-1", 5, seed=2)
        fit(other, state, path)
        for name, tensor in network.state_dict().items():
            assert torch.equal(other.state_dict()[name], tensor), name


def before(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


class Callback:
    """An object of the owner's own code, which is not at hand where the file is read."""

    def __init__(self):
        self.patience, self.best = 3, {"epoch": 2}


# --- harmless objects beside the weights ---

HARMLESS = {
    "numpy scalar": np.float64(93.2),
    "numpy array": np.arange(300),
    "numpy array of objects": np.array([{"a": 1}, None], dtype=object),
    "Namespace": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/x")),
    "path": pathlib.PosixPath("/x"),
    "date": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    "defaultdict": collections.defaultdict(list, {"loss": [1.0]}),
    "Counter": collections.Counter("abca"),
    "set": {1, 2, 3},
    "complex": 1 + 2j,
    "dtype and device": (torch.float16, torch.device("cpu"), torch.Size([2, 3])),
    "own class": Callback(),
    "random states": (torch.get_rng_state(), np.random.get_state()),
    "long text": "x" * 200_000,
    "many numbers": list(range(50_000)),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless_objects_do_not_keep_the_weights_from_being_read(tmp_path, network, kind, protocol):
    path = tmp_path / "model.pt"
    torch.save({"state_dict": network.state_dict(), "other": HARMLESS[kind]}, path, pickle_protocol=protocol)
    check_loads(path, network)


def test_a_whole_training_state_is_read_and_what_was_not_run_is_named(tmp_path, network):
    model = models.build("wrn-10-1", 5, seed=1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 3,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "args": argparse.Namespace(lr=0.1),
        "callback": Callback(),
    }
    torch.save(content, tmp_path / "last.pt")
    check_loads(tmp_path / "last.pt", network)
    stubs = open_checkpoint(tmp_path / "last.pt").stubs
    assert {"argparse.Namespace", f"{__name__}.Callback"} <= set(stubs)
    assert not any(name.startswith(("torch._utils", "collections.OrderedDict")) for name in stubs)
    fitted = read_for(tmp_path / "last.pt", network)
    assert any("argparse.Namespace" in note for note in fitted.notes)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_model_saved_as_an_object_gives_its_weights_and_is_not_run(tmp_path, network, zipped):
    whole = nn.DataParallel(network)
    torch.save(whole, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    check_loads(tmp_path / "whole.pth", network)
    contents = open_checkpoint(tmp_path / "whole.pth")
    assert "engine.models.wrn.network.WRN" in contents.stubs
    torch.save({"ema": network, "epoch": 2}, tmp_path / "yolo.pt", _use_new_zipfile_serialization=zipped)
    check_loads(tmp_path / "yolo.pt", network)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_tensors_and_of_arrays(tmp_path, network, protocol):
    state = network.state_dict()
    (tmp_path / "tensors.pkl").write_bytes(pickle.dumps(dict(state), protocol))
    (tmp_path / "arrays.pkl").write_bytes(pickle.dumps({"model": {k: v.numpy() for k, v in state.items()}}, protocol))
    for name in ("tensors.pkl", "arrays.pkl"):
        check_loads(tmp_path / name, network)


def test_arrays_in_columns_keep_their_values(tmp_path):
    array = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"w": array, "b": array.T[:2]}))
    read = load_foreign(tmp_path / "a.pkl")
    assert torch.equal(read["w"], torch.arange(12.0).reshape(3, 4))
    assert torch.equal(read["b"], torch.arange(12.0).reshape(3, 4).T[:2])


# --- wrappers and prefixes ---

PREFIXES = ["module.", "_orig_mod.", "module._orig_mod.", "model.", "module.module.", "net.", "backbone.", "encoder."]
PREFIXES += ["model.net.module.", "1.", "student.", "a.b.c."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_whatever_stands_before_every_name(tmp_path, network, prefix):
    torch.save({"state_dict": before(prefix, network.state_dict())}, tmp_path / "m.pt")
    check_loads(tmp_path / "m.pt", network)


def test_wrappers_that_differ_from_name_to_name(tmp_path, network):
    state = network.state_dict()
    mixed = {
        "backbone and head": {("" if name.startswith("fc") else "backbone.") + name: t for name, t in state.items()},
        "parallel blocks": {name.replace("block1.", "block1.module."): tensor for name, tensor in state.items()},
        "compiled within": {name.replace("layer.", "_orig_mod.layer."): tensor for name, tensor in state.items()},
        "fsdp": {"module." + name.replace("layer.0", "layer._fsdp_wrapped_module.0"): t for name, t in state.items()},
    }
    for name, each in mixed.items():
        torch.save(each, tmp_path / f"{name}.pt")
        check_loads(tmp_path / f"{name}.pt", network)


PLACES = [("state_dict",), ("model",), ("net",), ("ema",), ("weights",), ("params",), ("state_dict", "model")]
PLACES += [("checkpoint", "network"), ("anything",), ("a", "b")]


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_the_mapping_is_found_two_levels_deep(tmp_path, network, place):
    content = {"epoch": 3, **network.state_dict()} if not place else network.state_dict()
    for key in reversed(place):
        content = {key: content, "epoch": 3, "best": torch.tensor(93.0)}
    torch.save(content, tmp_path / "m.pt")
    check_loads(tmp_path / "m.pt", network)
    assert read_for(tmp_path / "m.pt", network).origin["path"] == list(place)


@pytest.mark.parametrize("content", [list, tuple])
def test_weights_in_a_row_with_others(tmp_path, network, content):
    torch.save(content([network.state_dict(), {"lr": 0.1}, 3]), tmp_path / "m.pt")
    check_loads(tmp_path / "m.pt", network)


def test_weights_as_a_row_of_names_with_their_tensors(tmp_path, network):
    for content in (list(network.state_dict().items()), {"params": tuple(network.state_dict().items())}):
        torch.save(content, tmp_path / "m.pt")
        check_loads(tmp_path / "m.pt", network)


def test_of_several_mappings_that_fit_the_likeliest_is_taken_and_the_others_are_named(tmp_path, network):
    averaged = models.build("wrn-10-1", 5, seed=7).state_dict()
    torch.save({"ema": averaged, "state_dict": network.state_dict()}, tmp_path / "m.pt")
    check_loads(tmp_path / "m.pt", network)
    assert any("also there: ema" in note for note in read_for(tmp_path / "m.pt", network).notes)
    flat = {**before("model_ema.", averaged), **before("model.", network.state_dict()), "loss.weight": torch.rand(3)}
    torch.save({"state_dict": flat}, tmp_path / "flat.pt")
    fitted = read_for(tmp_path / "flat.pt", network)
    assert torch.equal(fitted.tensors["fc.weight"], network.state_dict()["fc.weight"])
    assert any("also there: model_ema." in note for note in fitted.notes)


def test_what_does_not_fit_says_which_mappings_there_are(tmp_path, network):
    wide = models.build("wrn-10-2", 5).state_dict()
    torch.save({"gen": wide, "disc": {"w": torch.rand(3, 3)}}, tmp_path / "m.pt")
    with pytest.raises(MisfitError) as caught:
        load_foreign(tmp_path / "m.pt", network)
    said = str(caught.value)
    assert "closest of its mappings is gen" in said
    assert "disc (1 tensors)" in said
    assert "block1.layer.0.conv1.weight: file 32x16x3x3, wrn-10-1 wants 16x16x3x3" in said


# --- counters, and kinds of tensors ---


def test_counters_of_profilers_and_averagers_are_left_out_and_told_of(tmp_path, network):
    state = network.state_dict()
    counted = {
        "thop": {**state, "total_ops": torch.zeros(1), "fc.total_params": torch.zeros(1)},
        "averaged": {"n_averaged": torch.tensor(7), **before("module.", {k: v.float() for k, v in state.items()})},
        "float counters": {name: tensor.double() for name, tensor in state.items()},
        "none": {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")},
        "wide counters": {k: v.view(1) if k.endswith("num_batches_tracked") else v for k, v in state.items()},
    }
    for name, each in counted.items():
        torch.save(each, tmp_path / f"{name}.pt")
        if name != "none":
            check_loads(tmp_path / f"{name}.pt", network)
        else:
            fit(models.build("wrn-10-1", 5, seed=2), load_foreign(tmp_path / f"{name}.pt"), "none")
    assert any("total_ops" in note for note in read_for(tmp_path / "thop.pt", network).notes)


def test_a_parameter_that_the_network_does_not_have_is_no_counter(tmp_path, network):
    for name, extra in (("fc.scale", torch.ones(1)), ("block4.weight", torch.ones(3)), ("alpha", torch.ones(()))):
        torch.save({**network.state_dict(), name: extra}, tmp_path / "m.pt")
        assert f"{name}: file" in refusal(tmp_path / "m.pt", network)


LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_sparse_tensors_become_dense(tmp_path, network, layout):
    state = network.state_dict()
    torch.save({**state, "fc.weight": state["fc.weight"].to_sparse(layout=layout)}, tmp_path / "m.pt")
    check_loads(tmp_path / "m.pt", network)
    assert any("sparse" in note for note in read_for(tmp_path / "m.pt", network).notes)


@pytest.mark.parametrize("kind", ["tensor", "channel"])
def test_quantized_tensors_become_float(tmp_path, network, kind):
    weight = network.state_dict()["fc.weight"]
    if kind == "tensor":
        quantized = torch.quantize_per_tensor(weight, 0.01, 3, torch.qint8)
    else:
        scales, zeros = torch.full((5,), 0.01), torch.arange(5)
        quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    torch.save({**network.state_dict(), "fc.weight": quantized}, tmp_path / "m.pt")
    torch.testing.assert_close(load_foreign(tmp_path / "m.pt", network)["fc.weight"], quantized.dequantize())


def test_tensors_without_values_views_and_half_precision(tmp_path, network):
    state = network.state_dict()
    torch.save({**state, "fc.weight": state["fc.weight"].to("meta")}, tmp_path / "meta.pt")
    assert "without values" in refusal(tmp_path / "meta.pt", network)
    both = torch.stack([state["fc.weight"], state["fc.weight"] + 1])
    torch.save({**state, "fc.weight": both[0], "fc.bias": state["fc.bias"].expand(1, 5)[0]}, tmp_path / "views.pt")
    check_loads(tmp_path / "views.pt", network)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        cast = {name: each.to(dtype) if each.is_floating_point() else each for name, each in state.items()}
        torch.save(cast, tmp_path / "cast.pt")
        assert load_foreign(tmp_path / "cast.pt", network)["fc.weight"].dtype == dtype


def test_parameters_shared_by_two_names_are_read_once_and_are_the_same(tmp_path):
    weight = nn.Parameter(torch.rand(4, 4))
    torch.save({"a": weight, "b": weight, "c": weight.data[1:]}, tmp_path / "m.pt")
    read = load_foreign(tmp_path / "m.pt")
    assert torch.equal(read["a"], read["b"])
    assert torch.equal(read["c"], weight[1:])
    assert read["a"].data_ptr() == read["b"].data_ptr()


# --- the content decides, not the ending ---


@pytest.mark.parametrize(
    "name", ["UPPER.PTH", "last.ckpt", "pytorch_model.bin", "old.t7", "model.tar", "no_ending", "m.pkl"]
)
def test_any_ending_will_do(tmp_path, network, name):
    torch.save(network.state_dict(), tmp_path / name)
    check_loads(tmp_path / name, network)
    save_file(network.state_dict(), tmp_path / name)
    check_loads(tmp_path / name, network)


def _tar(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("model.pth")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _zip(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def _npz():
    buffer = io.BytesIO()
    np.savez(buffer, x_train=np.zeros(3))
    return buffer.getvalue()


def _script():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2)), buffer)
    return buffer.getvalue()


def _index():
    return json.dumps({"weight_map": {"a": "b"}}).encode()


OTHER = {
    "web page": (lambda whole: b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "git-lfs": (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "empty": (lambda whole: b"", "is empty"),
    "zeros": (lambda whole: b"\0" * 4096, "zero bytes"),
    "gzip": (gzip.compress, "gzip"),
    "tar": (_tar, "tar archive"),
    "zipped": (lambda whole: _zip(model__pth=whole), "unpack it"),
    "npz": (lambda whole: _npz(), ".npz"),
    "TorchScript": (lambda whole: _script(), "TorchScript"),
    "JSON": (lambda whole: _index(), "JSON"),
    "HDF5": (lambda whole: b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5"),
    "Torch7": (lambda whole: b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1", "Torch7"),
    "picture": (lambda whole: b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "picture"),
    "text": (lambda whole: b"just some words\n" * 40, "neither safetensors nor"),
    "cut": (lambda whole: whole[: len(whole) // 2], "cut short"),
    "damaged": (lambda whole: whole[:3000] + b"\xff" * 64 + whole[3064:], "damaged"),
    "of its directory": (lambda whole: whole[:-30], "cut short"),
}


@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_each_cause_has_its_own_line(tmp_path, network, kind, ending):
    make, told = OTHER[kind]
    torch.save(network.state_dict(), tmp_path / "whole.pth")
    path = tmp_path / f"model{ending}"
    path.write_bytes(make((tmp_path / "whole.pth").read_bytes()))
    said = refusal(path, network)
    assert told in said
    assert str(path) in said


def test_cut_files_of_the_other_forms(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), tmp_path / "new.safetensors")
    for name, length in (("old.pth", 9_000), ("old.pth", 40), ("new.safetensors", 5_000), ("new.safetensors", 50)):
        path = tmp_path / f"cut-{name}"
        path.write_bytes((tmp_path / name).read_bytes()[:length])
        assert "not a whole checkpoint" in refusal(path, network)
    (tmp_path / "folder.pth").mkdir()
    assert "it is a folder" in refusal(tmp_path / "folder.pth", network)


@pytest.mark.parametrize("name", ["a\nb.weight", "a\x1b[31m.weight", "a" * 50_000, "\u202ea.weight"])
def test_names_in_a_file_break_no_line_and_steer_no_terminal(tmp_path, network, name):
    torch.save(
        {"x\ny": {**network.state_dict(), name: torch.rand(3, 3)}, "z": {name: torch.rand(2)}}, tmp_path / "m.pt"
    )
    said = refusal(tmp_path / "m.pt", network)
    assert len(said) < 600
    assert said.isprintable()
    torch.save({"net": network.state_dict(), "\n\x1b": {1: 2}, name: Callback()}, tmp_path / "n.pt")
    assert all(note.isprintable() for note in read_for(tmp_path / "n.pt", network).notes)


class Holder(nn.Module):
    """A network that keeps another, as its owner's file does not."""

    name, tap_names = "holder", ()

    def __init__(self, seed):
        super().__init__()
        self.net = models.build("wrn-10-1", 5, seed=seed)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "net.", "model.net."])
def test_a_network_with_a_word_of_its_own_before_its_names(tmp_path, network, prefix):
    torch.save({"state_dict": before(prefix, network.state_dict())}, tmp_path / "m.pt")
    for state in (load_foreign(tmp_path / "m.pt"), load_foreign(tmp_path / "m.pt", Holder(2))):
        holder = Holder(2)
        fit(holder, state, tmp_path / "m.pt")
        assert torch.equal(holder.net.fc.weight, network.fc.weight)
