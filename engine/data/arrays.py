"""Arrays of other tools brought to uint8 images and int64 labels: without loss, and not without a word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.base import Note, few, in_order
from engine.errors import RequestError

_SLACK = 0.25
"""Of 255, by which floats may exceed their range: what computing with them leaves."""
_DARK = 32
"""A brightest pixel, of 255, below which floats are no images from 0 to 255 but from 0 to something else."""
_CHUNK = 1_000
"""Images converted at a time: floats take eight times the room of the bytes that come of them."""


@dataclass(frozen=True)
class _Scale:
    """How an array's numbers become bytes: value x factor + offset."""

    name: str
    factor: float = 1.0
    offset: float = 0.0


_BYTES, _UNIT, _SIGNED = _Scale("0 to 255"), _Scale("0 to 1", 255.0), _Scale("-1 to 1", 127.5, 127.5)


def images_from_array(array: np.ndarray, where: str) -> Tensor:
    """Return images as uint8 [N, 3, H, W].

    Args:
        array: uint8, color as [N, H, W, 3] or [N, 3, H, W], or gray as [N, H, W], [N, H, W, 1] or
            [N, 1, H, W]; gray becomes color by repeating it three times.
        where: what to call the array in messages.

    Raises:
        RequestError: another dtype or shape.
    """
    if array.dtype != np.uint8:
        raise RequestError(f"{where} is {array.dtype}; wants uint8 0-255")
    images = torch.from_numpy(array)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.permute(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise RequestError(f"{where} has shape {_shape(array)}; wants N x H x W x 3, N x 3 x H x W, or N x H x W")
    return images.expand(-1, 3, -1, -1).contiguous()


def images_from_arrays(arrays: dict[str, np.ndarray], path: str) -> tuple[list[Tensor], list[Note]]:
    """Return each array, by its name in the file, as uint8 [N, 3, H, W].

    Beside what `images_from_array` takes: whole numbers of any kind from 0 to 255; floats from 0 to 255, 0 to 1 or -1
    to 1, all arrays alike; opaque RGBA; square gray images as rows.

    Raises:
        RequestError: no images, other ranges, or arrays that are not on one scale.
    """
    notes: list[Note] = []
    scales, found = {}, []
    for name, array in arrays.items():
        where = f"{path}: {name}"
        scales[name] = _scale(array, where)
        found.append(images_from_array(_laid_out(_to_bytes(array, scales[name], where, notes), where, notes), where))
    if len({scale.name for scale in scales.values()}) > 1:
        each = ", ".join(f"{name} from {scale.name}" for name, scale in scales.items())
        raise RequestError(f"{path}: the images are not on one scale: {each}")
    return found, notes


def _scale(array: np.ndarray, where: str) -> _Scale:
    if array.dtype == np.uint8 or not array.size:
        return _BYTES
    if array.dtype.kind == "b":
        return _UNIT
    if array.dtype.kind not in "iuf":
        raise RequestError(f"{where} is {array.dtype}; wants images, as uint8 0-255")
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():
        raise RequestError(f"{where} holds NaN or infinite values; wants pixels, as uint8 0-255")
    floats = array.dtype.kind == "f"
    for scale in (_UNIT, _BYTES, _SIGNED) if floats else (_BYTES,):
        slack = _SLACK if floats else 0.0
        darkest, brightest = (float(value) * scale.factor + scale.offset for value in (low, high))
        if darkest >= -slack and brightest <= 255 + slack:
            return scale
    normalized = " (normalized?)" if low < 0 else ""
    raise RequestError(f"{where} is {array.dtype} from {low:g} to {high:g}{normalized}; wants pixels, as uint8 0-255")


def _to_bytes(array: np.ndarray, scale: _Scale, where: str, notes: list[Note]) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if scale is _BYTES and array.dtype.kind == "f" and array.max(initial=0) < _DARK:
        raise RequestError(
            f"{where} is {array.dtype} from {array.min():g} to {array.max():g}, neither 0 to 1 nor 0 to 255; "
            "wants uint8 0-255"
        )
    pixels, worst = np.empty(array.shape, np.uint8), 0.0
    for start in range(0, len(array), _CHUNK):
        values = array[start : start + _CHUNK].astype(np.float64) * scale.factor + scale.offset
        rounded = values.round()
        worst = max(worst, float(np.abs(values - rounded).max(initial=0)))
        pixels[start : start + _CHUNK] = rounded.clip(0, 255)
    exact = array.dtype.kind != "f" or worst <= 255 * float(np.finfo(array.dtype).eps) + 1e-3
    if not exact and scale is _SIGNED:
        raise RequestError(f"{where} is {array.dtype}, normalized by a rule that it does not tell; wants uint8 0-255")
    loss = "" if exact else f"; rounded, by at most {worst:.2f} of 255"
    notes.append(Note(f"{where}: {array.dtype} from {scale.name} read as uint8 0-255{loss}", warning=not exact))
    return pixels


def _laid_out(array: np.ndarray, where: str, notes: list[Note]) -> np.ndarray:
    """Rows as square images, and RGBA as RGB."""
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side == array.shape[1] and side > 1:
            notes.append(Note(f"{where}: rows of {array.shape[1]} read as gray images of {side}x{side} pixels"))
            return array.reshape(-1, side, side)
        raise RequestError(
            f"{where} has shape {_shape(array)}: images as flat rows, whose order of pixels and colors is not known; "
            "wants N x H x W x 3, N x 3 x H x W, or N x H x W"
        )
    axis = next((axis for axis in (3, 1) if array.ndim == 4 and array.shape[axis] == 4), None)
    if axis is None or array.shape[4 - axis] in (1, 3):
        return array
    colors, alpha = np.split(array, [3], axis=axis)
    if (alpha != 255).any():
        raise RequestError(f"{where} has shape {_shape(array)}: images that are partly transparent; wants three colors")
    notes.append(Note(f"{where}: RGBA read as RGB; every pixel is opaque"))
    return np.ascontiguousarray(colors)


def labels_from_arrays(
    arrays: dict[str, np.ndarray], class_names: Sequence[str] | None, path: str
) -> tuple[list[Tensor], tuple[str, ...] | None, list[Note]]:
    """Return the labels of the training and of any other part as int64 [N] from 0, with the names of the classes.

    Args:
        arrays: by name, training first: integers of any kind, whole floats, or names of classes, [N] or [N, 1]; or
            one-hot rows [N, K].
        class_names: those that are known; None = the labels are their own names.
        path: what to call the file in messages.

    Raises:
        RequestError: no labels, or names in another part that training does not know.
    """
    notes: list[Note] = []
    flat = {name: _flat(array, f"{path}: {name}", notes) for name, array in arrays.items()}
    if all(array.dtype.kind in "US" for array in flat.values()):
        return _named(flat, path, notes)
    numbers = [_whole(array, f"{path}: {name}", notes) for name, array in flat.items()]
    present = numbers[0].unique()
    least = min(int(labels.min()) for labels in numbers if len(labels)) if any(map(len, numbers)) else 0
    if least == 1 and len(present) and len(present) == int(present[-1]):
        count = len(present)
        notes.append(
            Note(f"{path}: labels 1 to {count} read as classes 0 to {count - 1}; their names stay as they are")
        )
        return [labels - 1 for labels in numbers], tuple(class_names or map(str, range(1, count + 1))), notes
    return numbers, None if class_names is None else tuple(class_names), notes


def _flat(array: np.ndarray, where: str, notes: list[Note]) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf" and array.shape[1] > 1:
        if (((array == 0) | (array == 1)).all(axis=1) & ((array == 1).sum(axis=1) == 1)).all():
            notes.append(Note(f"{where}: one-hot rows of {array.shape[1]} read as the numbers of the classes"))
            return array.argmax(axis=1)
        if len(array) == 1:
            return array[0]
        raise RequestError(f"{where} has shape {_shape(array)} and is not one-hot; wants one number for each image")
    if array.ndim != 1:
        raise RequestError(f"{where} has shape {_shape(array)}; wants N: one number for each image")
    return array


def _whole(array: np.ndarray, where: str, notes: list[Note]) -> Tensor:
    if array.dtype.kind in "iu":
        return torch.from_numpy(array.astype(np.int64))
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == array.round()).all():
        notes.append(Note(f"{where}: {array.dtype} read as whole numbers"))
        return torch.from_numpy(array.astype(np.int64))
    raise RequestError(f"{where} is {array.dtype}; wants integers, the numbers of the classes from 0")


def _named(
    flat: dict[str, np.ndarray], path: str, notes: list[Note]
) -> tuple[list[Tensor], tuple[str, ...], list[Note]]:
    texts = {
        name: [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in array.tolist()]
        for name, array in flat.items()
    }
    first, *others = texts
    classes = in_order(set(texts[first]))
    place = {name: label for label, name in enumerate(classes)}
    for name in others:
        strange = in_order(set(texts[name]) - set(classes))
        if strange:
            raise RequestError(f"{path}: {name} holds classes that {first} does not: {few(strange)}")
    notes.append(Note(f"{path}: {' and '.join(texts)} hold names; {len(classes)} classes, in the order of their names"))
    return [torch.tensor([place[each] for each in known]) for known in texts.values()], classes, notes


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape))
