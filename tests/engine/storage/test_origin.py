"""The shape of a checkpoint, noted down as a record has it: weights in that shape again are what the file held."""

from __future__ import annotations

import json

import pytest
import torch

from engine import models
from engine.models.normalized import Normalized
from engine.models.preprocessing import KNOWN, Preprocessing
from engine.plain import plain
from engine.storage.checkpoints import fit, read_for
from engine.storage.state_dicts.origin import in_shape, wrapped


@pytest.fixture(scope="module")
def state():
    return models.build("wrn-10-1", 5, seed=1).state_dict()


def before(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def bare(state):
    return state


def ddp(state):
    return {"epoch": 3, "state_dict": before("module.", state), "arch": "wrn", "best": 91.25}


def normalizing(state):
    return {"0.mean": torch.full((1, 3, 1, 1), 0.5), "0.std": torch.full((1, 3, 1, 1), 0.25), **before("1.", state)}


def of_bytes(state):
    held = {"pixel_mean": torch.tensor([123.0, 117.0, 104.0]), "pixel_std": torch.tensor([58.0, 57.0, 57.5])}
    return {"model": {**held, **before("backbone.", state)}}


def gray(state):
    return {**before("net.", state), "norm.mean": torch.tensor([0.5]), "norm.std": torch.tensor([0.5])}


def half(state):
    return {"net": {name: each.half() if each.is_floating_point() else each for name, each in state.items()}}


def mixed_types(state):
    return {name: each.bfloat16() if name.startswith("fc") else each for name, each in state.items()}


def averaged(state):
    floats = {name: tensor.float() for name, tensor in state.items()}
    return {"model_state_dict": {"n_averaged": torch.tensor(7), **before("module.", floats)}}


def profiled(state):
    return {**state, "total_ops": torch.tensor([2.0], dtype=torch.float64), "fc.total_params": torch.zeros(1)}


def old(state):
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def apart(state):
    return {"model": {("" if name.startswith("fc") else "backbone.") + name: each for name, each in state.items()}}


def within(state):
    return {name.replace("block1.", "block1.module."): each for name, each in state.items()}


def nested(state):
    return {"a": {"b": state, "lr": 0.1}, "seed": 5}


SHAPES = [bare, ddp, normalizing, of_bytes, gray, half, mixed_types, averaged, profiled, old, apart, within, nested]


def same(one, other):
    """Mappings of the same keys down to the tensors, which agree in type, shape and value."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            same(value, other[key])
        elif isinstance(value, torch.Tensor):
            assert (value.dtype, value.shape) == (other[key].dtype, other[key].shape), key
            torch.testing.assert_close(other[key], value)
        else:
            assert value == other[key], key


@pytest.mark.parametrize("shape", SHAPES)
def test_the_weights_of_a_file_in_its_shape_again_are_the_file(tmp_path, state, shape):
    content = shape(state)
    torch.save(content, tmp_path / "m.pt")
    network = models.build("wrn-10-1", 5, seed=2)
    fitted = read_for(tmp_path / "m.pt", network)
    fit(network, fitted.tensors, "the file")
    model = network
    if fitted.normalization is not None:
        model = Normalized(network, Preprocessing(fitted.normalization.mean, fitted.normalization.std))
    origin = json.loads(json.dumps(plain(fitted.origin), allow_nan=False))  # through a record
    same(content, wrapped(origin, in_shape(origin, model.state_dict())))


def test_values_that_the_files_type_cannot_hold_keep_theirs(tmp_path, state):
    torch.save(half(state), tmp_path / "m.pt")
    origin = read_for(tmp_path / "m.pt", models.build("wrn-10-1", 5)).origin
    large = {**state, "fc.bias": torch.full((5,), 1e6)}
    shaped = in_shape(origin, large)
    assert shaped["fc.bias"].dtype == torch.float32
    assert shaped["fc.weight"].dtype == torch.float16


def test_our_own_normalization_is_no_part_of_the_owners_file():
    state = Normalized(models.build("wrn-10-1", 5), Preprocessing(*KNOWN["cifar10"])).state_dict()
    assert not any("nadtui" in name for name in in_shape({"prefix": "module."}, state))


def test_what_was_sparse_or_quantized_is_written_dense(tmp_path, state):
    quantized = torch.quantize_per_tensor(state["fc.bias"], 0.01, 3, torch.qint8)
    torch.save({**state, "fc.weight": state["fc.weight"].to_sparse(), "fc.bias": quantized}, tmp_path / "m.pt")
    fitted = read_for(tmp_path / "m.pt", models.build("wrn-10-1", 5))
    shaped = in_shape(fitted.origin, fitted.tensors)
    torch.testing.assert_close(shaped["fc.weight"], state["fc.weight"])
    torch.testing.assert_close(shaped["fc.bias"], quantized.dequantize())
