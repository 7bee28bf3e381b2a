"""Weights on disk: our own files, and checkpoints from strangers.

Our own files are safetensors, which cannot execute code, and are always written whole. A stranger's checkpoint may be
anything (`engine.storage.contents`): nothing in it is executed, and only its tensors are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from engine.errors import AbsentError, RequestError
from engine.plain import utf8
from engine.storage.contents import open_checkpoint
from engine.storage.paths import named_in_letters, write_atomically
from engine.storage.pickles.values import NotWholeError
from engine.storage.reading_tensors import read_all
from engine.storage.state_dicts import normalization
from engine.storage.state_dicts.fitting import Fitted, MisfitError, fit_contents, found_in, listed, misfits
from engine.storage.state_dicts.naming import WRAPPING, Naming, common_prefix, match
from engine.storage.state_dicts.normalization import OURS, FoundNormalization


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, within: Path | None = None
) -> None:
    """Write named tensors and text to a safetensors file, whole or not at all.

    Tensors of any device and layout are stored from the CPU, contiguous; their dtype and shape are kept.
    Serves weights, training states and cached images alike. ``within`` is as in ``write_atomically``.

    Raises:
        RequestError: the folder cannot be written, or the disk is full.
    """
    write_atomically(path, weights_as_bytes(tensors, metadata), within=within)


def weights_as_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The same file's content."""
    # The format refuses tensors that share memory, so each is copied.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    return to_safetensors(plain, {name: utf8(value).decode() for name, value in metadata.items()})


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what ``save_weights`` wrote, or any safetensors file: tensors on the CPU, and the text.

    Raises:
        RequestError: the file is absent, unreadable, damaged, cut short, or not a safetensors file.
    """
    _check_readable(path)
    try:
        with named_in_letters(path) as name, safe_open(name, framework="pt", device="cpu") as file:
            # Copied, since the file is mapped into memory: to change it later must not change the tensors.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{path} is not a whole safetensors file: {_first_line(error)}") from error


def load_foreign(path: Path, like: nn.Module | None = None) -> dict[str, Tensor]:
    """Read a state dict that somebody else wrote, executing nothing in it; see `engine.storage.contents` for the forms.

    The mapping taken is the one that fits the network `like`, under its names; without one, the likeliest, less what
    wrappers put before every name (``module.``). A normalization of the images comes under the names `OURS` in the
    first case, as it is in the second. The tensors are on the CPU and have the dtypes of the file.

    Raises:
        MisfitError: nothing in it fits `like`.
        RequestError: no such file, not a checkpoint, damaged, without a state dict, or one that names what runs things.
    """
    contents = open_checkpoint(path)
    if like is not None:
        fitted = fit_contents(contents, like.state_dict(), _name(like))
        return {**fitted.tensors, **as_tensors(fitted.normalization)}
    mapping = found_in(contents)[0]
    prefix = common_prefix(mapping.tensors, WRAPPING)
    try:
        read = read_all(mapping.tensors, contents.size)
    except NotWholeError as error:
        raise RequestError(f"{path} is not a whole checkpoint: {error}") from error
    return {name.removeprefix(prefix): tensor for name, tensor in read.items()}


def read_for(path: Path, model: nn.Module) -> Fitted:
    """What a stranger's file has for a network, and how the file is made up. Raises as `load_foreign` does."""
    return fit_contents(open_checkpoint(path), model.state_dict(), _name(model))


def as_tensors(normal: FoundNormalization | None) -> dict[str, Tensor]:
    """A normalization as our own files hold it; nothing where there is none."""
    if normal is None:
        return {}
    return {
        name: torch.tensor(each, dtype=torch.float32).view(1, 3, 1, 1)
        for name, each in zip(OURS, (normal.mean, normal.std), strict=True)
    }


def fit(model: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Load ``state``, read from ``path``, into ``model`` by name; floating dtypes become the model's.

    Names may stand behind a prefix; counters of profilers, and ``num_batches_tracked``, which old files lack, do not
    matter. Nothing is loaded unless everything fits.

    Raises:
        MisfitError: tensors that are missing, superfluous or of another shape (the first three are listed).
        RequestError: tensors that hold NaN, infinities or no floating point numbers; a normalization of the images that
            the model has no place for.
    """
    whole = model.state_dict()
    wanted = {key: tensor for key, tensor in whole.items() if key not in OURS}
    naming = match(*({key: tuple(each.shape) for key, each in tensors.items()} for tensors in (wanted, state)))
    held = normalization.among((*naming.inside, *naming.outside), lambda key: _numbers(state[key]))
    normal = next(iter(held.made), None)
    beside = (normal.mean_name, normal.std_name) if normal is not None else ()
    inside = tuple(each for each in naming.inside if each not in beside)
    mismatches = list(misfits(wanted, state, Naming(naming.names, naming.prefix, naming.outside, inside), _name(model)))
    if mismatches:
        raise MisfitError(f"{path} does not fit {_name(model)}: {listed(mismatches)}")
    if normal is not None and not normal.identity and OURS[0] not in whole:
        raise RequestError(
            f"{path} normalizes its images ({beside[0]}, {beside[1]}), {_name(model)} does not: give model.mean and "
            "model.std"
        )
    taken = {ours: state[theirs].reshape(wanted[ours].shape) for ours, theirs in naming.names.items()}
    if OURS[0] in whole:
        taken |= as_tensors(normal)
    # Conversion comes before the check: a float64 value may be infinite as float32.
    taken = {key: _converted(tensor, whole[key]) for key, tensor in taken.items()}
    for key, tensor in taken.items():
        if not tensor.isfinite().all():
            raise RequestError(f"{path}: {key} holds values that are not finite (NaN or infinity)")
    model.load_state_dict({**whole, **taken})


def _converted(tensor: Tensor, wanted: Tensor) -> Tensor:
    """In the model's type; a counter that somebody averaged is rounded."""
    dense = tensor.to_dense() if tensor.layout is not torch.strided else tensor
    counted = dense.is_floating_point() and not wanted.is_floating_point()
    return (dense.round() if counted else dense).to(wanted.dtype)


def _numbers(tensor: Tensor) -> list[float] | None:
    return (
        [float(each) for each in tensor.flatten().tolist()] if tensor.numel() in (1, 3) and tensor.ndim <= 4 else None
    )


def _name(model: nn.Module) -> str:
    return str(getattr(model, "name", type(model).__name__))


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a null character makes a ValueError
        raise AbsentError(f"no such file: {path}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    if empty:
        raise RequestError(f"{path} is empty")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
