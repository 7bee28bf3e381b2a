"""Tensors from what a file describes: bytes are looked for before memory is taken, never more than an allowance.

What is sparse or quantized becomes dense and float32; what has no values (the device meta) is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.storage.pickles.torch_files import ITEMSIZE
from engine.storage.pickles.values import NotWholeError, Storage, Stored

ALLOWANCE = 64 * 2**20
"""Bytes of tensors that a file may make beside twice as many as it has itself."""
_INTEGERS = {"qint8": torch.int8, "quint8": torch.uint8, "qint32": torch.int32}


class TensorReader:
    """Reads tensors of one file; memory that several of them share is read once."""

    def __init__(self, size: int) -> None:
        """`size`: bytes of the whole file."""
        self._left = ALLOWANCE + 2 * size
        self._flat: dict[int, Tensor] = {}

    def read(self, tensor: Stored) -> Tensor:
        """The tensor on the CPU; dense ones may share memory with others of the file.

        Raises:
            NotWholeError: it has no values, is of a type that torch does not have, or does not fit what the file holds.
        """
        if tensor.layout == "dense":
            return self._strided(tensor, _dtype(tensor.dtype))
        if tensor.layout.startswith("sparse"):
            return self._sparse(tensor)
        if tensor.layout.startswith("quantized"):
            return self._quantized(tensor)
        raise NotWholeError("it is stored without values (on the device meta)")

    def _charge(self, nbytes: int) -> None:
        self._left -= nbytes
        if self._left < 0:
            raise NotWholeError("the file's tensors would take far more memory than the file has")

    def _strided(self, tensor: Stored, dtype: torch.dtype) -> Tensor:
        storage = tensor.storage
        assert storage is not None
        if 0 in tensor.shape:
            return torch.empty(tensor.shape, dtype=dtype)
        last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
        flat = self._memory(storage, dtype, last)
        return flat.as_strided(tensor.shape, tensor.stride, tensor.offset)

    def _memory(self, storage: Storage, dtype: torch.dtype, last: int) -> Tensor:
        """The storage as one row of values, which must reach to the one numbered `last`."""
        itemsize = torch.empty(0, dtype=dtype).element_size()
        if storage.region is None or (last + 1) * itemsize > storage.region.nbytes:
            raise NotWholeError("the file holds fewer values than it has by its shape")
        known = self._flat.get(id(storage))
        if known is None:
            self._charge(storage.region.nbytes)
            content = storage.region.read()
            if len(content) != storage.region.nbytes:
                raise NotWholeError("the file holds fewer bytes than it says")
            # Its own memory, to be written to; what was read that way already is not copied.
            known = torch.frombuffer(
                content if isinstance(content, bytearray) else bytearray(content), dtype=torch.uint8
            )
            self._flat[id(storage)] = known
        whole = known[: len(known) // itemsize * itemsize]
        return whole.view(dtype)

    def _sparse(self, tensor: Stored) -> Tensor:
        self._charge(tensor.numel * ITEMSIZE.get(tensor.dtype, 8))
        parts = [self.read(each) for each in tensor.parts]
        layout = tensor.layout.removeprefix("sparse ")
        try:
            with warnings.catch_warnings(action="ignore"):  # torch says of itself that it is in beta state
                return _made_sparse(layout, parts, tensor.shape).to_dense()
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise NotWholeError("its indices do not fit its shape") from error

    def _quantized(self, tensor: Stored) -> Tensor:
        whole = _INTEGERS.get(tensor.dtype)
        if whole is None:
            raise NotWholeError(f"it is quantized as {tensor.dtype}, which cannot be read here")
        self._charge(4 * tensor.numel)
        values = self._strided(tensor, whole).float()
        try:
            if tensor.layout == "quantized per_tensor_affine":
                scale, zero = (float(each) for each in tensor.parts)
                return (values - zero) * scale
            scales, zeros, axis = tensor.parts
            shape = [1] * len(tensor.shape)
            shape[axis] = tensor.shape[axis]
            return (values - self._row(zeros).view(shape)) * self._row(scales).view(shape)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise NotWholeError("its scales do not fit its shape") from error

    def _row(self, values: Any) -> Tensor:
        return self.read(values).float() if isinstance(values, Stored) else torch.tensor(values, dtype=torch.float32)


def _made_sparse(layout: str, parts: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    if layout == "coo":
        return torch.sparse_coo_tensor(*parts, size=shape, check_invariants=True)
    kind = getattr(torch, f"sparse_{layout}")
    return torch.sparse_compressed_tensor(*parts, size=shape, layout=kind, check_invariants=True)


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None) if name in ITEMSIZE else None
    if not isinstance(found, torch.dtype):
        raise NotWholeError(f"it is of a type {name[:40]!r} that this PyTorch does not have")
    return found


def read_all(tensors: Mapping[str, Stored], size: int) -> dict[str, Tensor]:
    """All of them, from a file of `size` bytes.

    Raises:
        NotWholeError: as `TensorReader.read`, with the tensor's name.
    """
    reader = TensorReader(size)
    found = {}
    for name, tensor in tensors.items():
        try:
            found[name] = reader.read(tensor)
        except NotWholeError as error:
            raise NotWholeError(f"{name[:120]!a}: {error}") from error
    return found
