"""The calls in a pickle that mean something here: how torch writes tensors down, and what plain containers are.

Each is a function of ours that makes a value of `values` from the call's arguments; none of them reads a tensor's
bytes, or calls anything that a file names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.storage.pickles.values import Blob, Global, NotWholeError, Storage, Stored, Stub

Charge = Callable[[int], None]
"""Takes so many bytes from what a file may make."""
Builder = Callable[[tuple[Any, ...], Charge], Any]

MOST_DIMENSIONS = 64
LARGEST = 2**48
"""Values in the largest tensor that a file may describe."""


def built(what: Any, arguments: tuple[Any, ...], charge: Charge) -> Any:
    """What a call comes to: one of our values where the name is known here, else a stub."""
    if isinstance(what, Global):
        builder = BUILDERS.get(what.name)
        return Stub(what.name, arguments) if builder is None else builder(arguments, charge)
    return Stub(what.name if isinstance(what, Stub) else type(what).__name__, arguments)


def _table(arguments: tuple[Any, ...], charge: Charge) -> dict[Any, Any]:
    """A dictionary of whatever kind; older pickles hand it its pairs at once."""
    table: dict[Any, Any] = {}
    given = arguments[-1] if arguments else None
    if isinstance(given, list):
        charge(128 * len(given))
        table.update((key, value) for key, value in given if isinstance(key, str))
    elif isinstance(given, dict):
        charge(128 * len(given))
        table.update(given)
    return table


def _sizes(value: Any) -> tuple[int, ...]:
    """A shape or a stride.

    Raises:
        NotWholeError: it is none.
    """
    if not isinstance(value, tuple | list) or len(value) > MOST_DIMENSIONS:
        raise NotWholeError("a tensor in it has no shape")
    numel = 1
    for size in value:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST:
            raise NotWholeError("a tensor in it has an impossible shape")
        numel *= max(size, 1)
        if numel > LARGEST:
            raise NotWholeError("a tensor in it has an impossible shape")
    return tuple(value)


def _strides(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(each, int) and 0 <= each <= LARGEST for each in value):
        raise NotWholeError("a tensor in it has no strides")
    return tuple(value)


def _dense(arguments: tuple[Any, ...], charge: Charge) -> Stored:
    storage, offset, size, stride = arguments[:4]
    shape = _sizes(size)
    strides = _strides(stride)
    if not isinstance(storage, Storage) or not isinstance(offset, int) or offset < 0 or len(strides) != len(shape):
        raise NotWholeError("a tensor in it is described wrongly")
    return Stored(storage.dtype, shape, strides, offset, storage)


def _dense_of_dtype(arguments: tuple[Any, ...], charge: Charge) -> Stored:
    """What newer dtypes are written with: untyped bytes, and the dtype beside them."""
    plain = _dense(arguments, charge)
    return Stored(_dtype(arguments[6]), plain.shape, plain.stride, plain.offset, plain.storage)


def _dtype(value: Any) -> str:
    if not isinstance(value, Global) or not value.name.startswith("torch."):
        raise NotWholeError("a tensor in it has no type")
    return value.name.removeprefix("torch.")


def _first(arguments: tuple[Any, ...], charge: Charge) -> Any:
    """A parameter is the tensor that it holds, a tensor of another device one of the processor's."""
    return arguments[0]


def _subclass(arguments: tuple[Any, ...], charge: Charge) -> Any:
    """A tensor of a class of its own is what it is made of."""
    make, _, given = arguments[:3]
    return built(make, given if isinstance(given, tuple) else (), charge)


def _sparse(arguments: tuple[Any, ...], charge: Charge) -> Stored:
    layout, data = arguments[:2]
    name = str(layout.name if isinstance(layout, Global) else layout).removeprefix("torch.").removeprefix("sparse_")
    *parts, size = data[:3] if name == "coo" else data[:4]
    if name not in ("coo", "csr", "csc", "bsr", "bsc") or not all(isinstance(each, Stored) for each in parts):
        raise NotWholeError("a sparse tensor in it is described wrongly")
    return Stored(parts[-1].dtype, _sizes(size), layout=f"sparse {name}", parts=tuple(parts))


def _quantized(arguments: tuple[Any, ...], charge: Charge) -> Stored:
    plain = _dense(arguments, charge)
    scheme, *numbers = arguments[4]
    per = scheme.name.removeprefix("torch.") if isinstance(scheme, Global) else "?"
    return Stored(
        plain.dtype, plain.shape, plain.stride, plain.offset, plain.storage, f"quantized {per}", tuple(numbers)
    )


def _meta(arguments: tuple[Any, ...], charge: Charge) -> Stored:
    return Stored(_dtype(arguments[0]), _sizes(arguments[1]), layout="meta")


def _layout(arguments: tuple[Any, ...], charge: Charge) -> Any:
    return arguments[0]


def _sequence(arguments: tuple[Any, ...], charge: Charge) -> tuple[Any, ...]:
    given = arguments[0] if arguments else ()
    charge(8 * len(given))
    return tuple(given)


def _encoded(arguments: tuple[Any, ...], charge: Charge) -> Any:
    """Bytes, as old protocols write them: text whose letters are the bytes."""
    text = arguments[0] if arguments else ""
    return Blob(text.region, text=True) if isinstance(text, Blob) else str(text).encode("latin-1")


_TORCH: dict[str, Builder] = {
    "torch._utils._rebuild_tensor": _dense,
    "torch._utils._rebuild_tensor_v2": _dense,
    "torch._utils._rebuild_tensor_v3": _dense_of_dtype,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch._utils._rebuild_xla_tensor": _first,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type": _subclass,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch.nn.parameter.Parameter": _first,
    "torch.serialization._get_layout": _layout,
    "torch.Size": _sequence,
}
_CONTAINERS: dict[str, Builder] = {
    **dict.fromkeys(("collections.OrderedDict", "collections.Counter", "builtins.dict", "__builtin__.dict"), _table),
    "collections.defaultdict": lambda arguments, charge: {},
    "_codecs.encode": _encoded,
}
BUILDERS = _TORCH | _CONTAINERS
"""By the name that stands in the file."""
PLAIN = (
    *("torch.storage.", "torch.cuda.", "torch.per_", "torch.sparse_", "torch.strided", "torch.float", "torch.int"),
    *("torch.bfloat16", "torch.half", "torch.double", "torch.long", "torch.bool", "torch.uint", "torch.complex"),
    *("torch.quint", "torch.qint", "torch.Float", "torch.Double", "torch.Half", "torch.BFloat16", "torch.Long"),
    *("torch.Int", "torch.Short", "torch.Char", "torch.Byte", "torch.Bool", "torch.Complex", "torch.Q"),
    *("torch.device", "torch.Tensor"),
)
"""Beginnings of the names that belong to writing a tensor down, and are not worth telling of."""
