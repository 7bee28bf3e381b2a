"""Weights on disk: our own files, and checkpoints from strangers.

Our own files are safetensors, which cannot execute code, and are always written whole. A stranger's
checkpoint may be a pickle; it is read with torch's restricted unpickler, and one that asks for any code is
refused unexecuted.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from engine.errors import RequestError
from engine.plain import utf8
from engine.storage.paths import write_atomically

PICKLED = (".pt", ".pth", ".tar")
WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
LISTED_MISMATCHES = 3


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, within: Path | None = None
) -> None:
    """Write named tensors and text to a safetensors file, whole or not at all.

    Tensors of any device and layout are stored from the CPU, contiguous; their dtype and shape are kept.
    Serves weights, training states and cached images alike. ``within`` is as in ``write_atomically``.

    Raises:
        RequestError: the folder cannot be written, or the disk is full.
    """
    # The format refuses tensors that share memory, so each is copied.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    about = {name: utf8(value).decode() for name, value in metadata.items()}
    write_atomically(path, to_safetensors(plain, about), within=within)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what ``save_weights`` wrote, or any safetensors file: tensors on the CPU, and the text.

    Raises:
        RequestError: the file is absent, unreadable, damaged, cut short, or not a safetensors file.
    """
    _check_readable(path)
    try:
        with _named_in_letters(path) as name, safe_open(name, framework="pt", device="cpu") as file:
            # Copied, since the file is mapped into memory: to change it later must not change the tensors.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{path} is not a whole safetensors file: {_first_line(error)}") from error


@contextmanager
def _named_in_letters(path: Path) -> Iterator[str]:
    """A name for a file that safetensors takes: it wants UTF-8, which names of files need not be."""
    name = str(path)
    if name == name.encode("utf-8", "replace").decode():
        yield name
        return
    with path.open("rb") as file:
        yield f"/dev/fd/{file.fileno()}"


def load_foreign(path: Path) -> dict[str, Tensor]:
    """Read a state dict that somebody else wrote, executing nothing in it.

    The file may be safetensors, or a pickle by ``torch.save`` (``.pt``, ``.pth``, ``.tar``) that holds the
    state dict itself or has it under ``state_dict``, ``model``, ``model_state_dict`` or ``net``. A
    ``module.`` before every name (``nn.DataParallel``) is taken off. The tensors are on the CPU and have the
    dtypes of the file.

    Raises:
        RequestError: no such file, another ending, not a checkpoint, damaged, without a state dict, or a
            pickle that would execute code.
    """
    if path.suffix == ".safetensors":
        found: object = load_weights(path)[0]
    elif path.suffix in PICKLED:
        _check_readable(path)
        found = _unpickle(path)
    else:
        raise RequestError(f"{path} is no checkpoint: allowed endings are .safetensors, {', '.join(PICKLED)}")
    state = _unwrap(found, path)
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


class MisfitError(RequestError):
    """Weights of another network: tensors are missing, superfluous or of another shape."""


def fit(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load ``state``, read from ``path``, into ``model`` by name; floating dtypes become the model's.

    ``num_batches_tracked`` may be absent, as it is in old files. Nothing is loaded unless everything fits.

    Raises:
        MisfitError: tensors that are missing, superfluous or of another shape (the first three are listed).
        RequestError: tensors that hold NaN, infinities or no floating point numbers.
    """
    name = getattr(model, "name", type(model).__name__)
    wanted = model.state_dict()
    mismatches = list(_mismatches(wanted, state, name))
    if mismatches:
        shown = "; ".join(mismatches[:LISTED_MISMATCHES])
        more = len(mismatches) - LISTED_MISMATCHES
        raise MisfitError(f"{path} does not fit {name}: {shown}{f'; and {more} more' if more > 0 else ''}")
    # Conversion comes before the check: a float64 value may be infinite as float32.
    state = {key: tensor.to(wanted[key].dtype) for key, tensor in state.items()}
    for key, tensor in state.items():
        if not tensor.isfinite().all():
            raise RequestError(f"{path}: {key} holds values that are not finite (NaN or infinity)")
    model.load_state_dict({**wanted, **state})


def _mismatches(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str) -> Iterator[str]:
    for key, tensor in wanted.items():
        found = state.get(key)
        if found is None:
            if not key.endswith("num_batches_tracked"):
                yield f"{key}: missing in the file, {name} wants {_shape(tensor)}"
        elif found.shape != tensor.shape:
            yield f"{key}: file {_shape(found)}, {name} wants {_shape(tensor)}"
        elif found.is_floating_point() != tensor.is_floating_point():
            yield f"{key}: file {_dtype(found)}, {name} wants {_dtype(tensor)}"
    for key, tensor in state.items():
        if key not in wanted:
            yield f"{key}: file {_shape(tensor)}, {name} has no such tensor"


def _unpickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL\s+(\S+)", str(error))
        if forbidden is None:
            raise RequestError(f"{path} is not a checkpoint: not a file that torch.save wrote") from error
        raise RequestError(
            f"{path} refused: besides tensors it contains code ({forbidden[1]}), which was not executed; if "
            "you trust its author, load it where that is safe, and convert its state_dict() with "
            "safetensors.torch.save_file"
        ) from error
    except Exception as error:  # rubbish makes the unpickler fail in a dozen ways, KeyError among them
        raise RequestError(f"{path} is not a whole checkpoint: {_first_line(error)}") from error


def _unwrap(found: object, path: Path) -> dict[str, Tensor]:
    if isinstance(found, Mapping):
        found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping) or not found:
        held = "nothing" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise RequestError(f"{path} holds no state dict but {held}; allowed: bare or under {', '.join(WRAPPERS)}")
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise RequestError(f"{path} holds no state dict: {key!r} is a {kind}, not a tensor with a name")
    return {key: value.detach() for key, value in found.items()}


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a null character makes a ValueError
        raise RequestError(f"no such file: {path}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    if empty:
        raise RequestError(f"{path} is empty")


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "a single number"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
