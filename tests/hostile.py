"""Checkpoints made to do harm, and a watch that sees whether any of it is done."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MB = 2**20
_ACTS = ("os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "subprocess.", "pty.", "socket.", "shutil.")
_ACTS += ("ctypes.", "webbrowser.", "pickle.find_class", "urllib.", "ftplib.", "os.remove", "os.rename", "code.__new__")


class Watch:
    """What was done, of all that a hostile file might try. There is one: an audit hook cannot be taken away again."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.on and event.startswith(_ACTS):
            self.seen.append(f"{event} {arguments!r:.200}")


_WATCH: list[Watch] = []


@contextmanager
def watched(extra: int = 200 * MB) -> Iterator[Watch]:
    """Nothing may be done, and no more memory taken than so many bytes beyond what the process has."""
    watch = _WATCH[0] if _WATCH else Watch()
    _WATCH[:] = [watch]
    watch.seen.clear()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + extra, hard))
    watch.on = True
    try:
        yield watch
    finally:
        watch.on = False
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def text(value: str) -> bytes:
    """A string, pushed."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> bytes:
    """A global by its line."""
    return f"c{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *arguments: str) -> bytes:
    """A call of it."""
    return name(module, attribute) + b"(" + b"".join(map(text, arguments)) + b"tR"


P2 = b"\x80\x02"
RUNNING = {
    "os.system": P2 + call("os", "system", "touch CANARY") + b".",
    "posix.system": P2 + call("posix", "system", "touch CANARY") + b".",
    "nt.system": P2 + call("nt", "system", "touch CANARY") + b".",
    "os.popen": P2 + call("os", "popen", "touch CANARY") + b".",
    "builtins.eval": b"\x80\x04" + text("builtins") + text("eval") + b"\x93" + text("1") + b"\x85R.",
    "builtins.exec": P2 + call("builtins", "exec", "open('CANARY', 'w')") + b".",
    "__builtin__.eval": P2 + call("__builtin__", "eval", "1") + b".",
    "builtins.__import__": P2 + call("builtins", "__import__", "os") + b".",
    "builtins.open": P2 + call("builtins", "open", "CANARY", "w") + b".",
    "builtins.getattr": P2 + name("builtins", "getattr") + b"(" + text("x") + text("upper") + b"tR.",
    "subprocess.Popen": P2 + name("subprocess", "Popen") + b"(" + text("touch CANARY") + b"t\x81.",
    "subprocess.call": P2 + name("subprocess", "call") + b"(" + text("touch CANARY") + b"t}\x92.",
    "subprocess.check_output": b"(" + text("touch CANARY") + b"isubprocess\ncheck_output\n.",
    "subprocess.run": b"(" + name("subprocess", "run") + text("touch CANARY") + b"o.",
    "importlib.import_module": P2 + call("importlib", "import_module", "os") + b".",
    "runpy.run_path": P2 + call("runpy", "run_path", "CANARY") + b".",
    "pty.spawn": P2 + call("pty", "spawn", "touch CANARY") + b".",
    "socket.create_connection": P2 + call("socket", "create_connection", "localhost") + b".",
    "webbrowser.open": P2 + call("webbrowser", "open", "file:///CANARY") + b".",
    "shutil.rmtree": P2 + call("shutil", "rmtree", "CANARY") + b".",
    "ctypes.CDLL": P2 + call("ctypes", "CDLL", "libc.so.6") + b".",
    "pickle.loads": P2 + call("pickle", "loads", "x") + b".",
    "torch.load": P2 + call("torch", "load", "CANARY") + b".",
    "torch.serialization.load": P2 + call("torch.serialization", "load", "CANARY") + b".",
    "torch.hub.load": P2 + call("torch.hub", "load", "a/b", "c") + b".",
    "types.FunctionType": P2 + name("types", "FunctionType") + b")R.",
    "operator.methodcaller": P2 + call("operator", "methodcaller", "system", "touch CANARY") + b".",
    "dill._dill._create_function": P2 + name("dill._dill", "_create_function") + b")R.",
    "numpy.testing._private.utils.runstring": P2 + call("numpy.testing._private.utils", "runstring", "1") + b".",
    "timeit.timeit": P2 + call("timeit", "timeit", "1") + b".",
    "collections.OrderedDict.__init__.__globals__": b"\x80\x04"
    + text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93.",
    "os.path.os.system": b"\x80\x04" + text("os") + b"q\x00" + text("path.os.system") + b"q\x010h\x00h\x01\x93.",
}  # fmt: skip
"""By the name that must be in the refusal."""

EMPTY_TENSOR = name("torch._utils", "_rebuild_tensor_v2")


def tensor(key: str, count: int, size: str, stride: str, offset: int = 0) -> bytes:
    """A call that rebuilds a tensor of a storage; size and stride as tuples of Python's, written by pickle."""
    where = b"(" + text("storage") + name("torch", "FloatStorage") + text(key) + text("cpu") + _whole(count) + b"tQ"
    rest = _whole(offset) + _row(size) + _row(stride) + b"\x89" + name("collections", "OrderedDict") + b")R"
    return EMPTY_TENSOR + b"(" + where + rest + b"tR"


def _whole(value: int) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def _row(values: str) -> bytes:
    numbers = [int(each) for each in values.split()]
    return b"(" + b"".join(map(_whole, numbers)) + b"t"


def state(*tensors: bytes) -> bytes:
    """A state dict of such tensors, as a program."""
    pairs = b"".join(text(f"w{place}") + each for place, each in enumerate(tensors))
    return P2 + b"}(" + pairs + b"u."


def zipped(program: bytes, *, key: str = "0", content: bytes = b"\0" * 16, pack: int = zipfile.ZIP_STORED) -> bytes:
    """The program in an archive as torch.save writes it, with one storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", pack) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        archive.writestr(f"archive/data/{key}", content)
    return buffer.getvalue()


def _laughs(opening: bytes, joining: bytes) -> bytes:
    """Something that holds the one before it twice, 100 times over."""
    steps = b"".join(
        b"h" + bytes([place]) + b"h" + bytes([place]) + joining + b"q" + bytes([place + 1]) for place in range(100)
    )
    return P2 + opening + b"q\x000" + steps


def _lying_zip() -> bytes:
    """An archive that says of a storage of 16 bytes that it has 2 GB."""
    whole = bytearray(zipped(state(tensor("0", 4, "4", "1"))))
    entry = whole.rfind(b"PK\x01\x02")
    whole[entry + 20 : entry + 28] = struct.pack("<II", 16, 2**31 - 2)
    return bytes(whole)


def _many_names_for_the_same(count: int = 2_000) -> bytes:
    """An archive whose storages are all the same bytes."""
    program = state(*(tensor(str(place), 250_000, "250000", "1") for place in range(count)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", b"\0" * 1_000_000)
        first = archive.infolist()[-1]
        for place in range(1, count):
            other = zipfile.ZipInfo(f"archive/data/{place}")
            for field in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(other, field, getattr(first, field))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        archive._didModify = True
    return buffer.getvalue()


def _legacy(program: bytes, keys: bytes, data: bytes) -> bytes:
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return head + program + keys + data


_sparse = (
    name("torch._utils", "_rebuild_sparse_tensor") + b"(" + name("torch", "sparse_coo") + b"("
    + tensor("0", 4, "2 1", "1 1") + tensor("0", 4, "1", "1") + _row(f"{2**20} {2**20}") + b"\x89ttR"
)  # fmt: skip

GREEDY = {
    "lists that hold each other twice": _laughs(b"]", b"\x86") + b".",
    "tuples that hold each other twice, as a key": _laughs(b")", b"\x86") + b"}hdNs.",
    "half a million lists in each other": P2 + b"(" + b"]" * 500_000 + b"a" * 499_999 + b".",
    "half a million tuples in each other, as a key": P2 + b")" + b"\x85" * 500_000 + b"q\x00}h\x00Ns.",
    "a memory of two billion places": P2 + b"Nr\xff\xff\xff\x7f.",
    "bytes of 2**60": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "a byte array of 2**62": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x.",
    "text of 4 GB": P2 + b"X" + struct.pack("<I", 2**32 - 1) + b"x.",
    "a frame of 2**63": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
    "a number of 2 GB": P2 + b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
    "a number of minus one bytes": P2 + b"\x8b" + struct.pack("<i", -1) + b"1.",
    "a number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "three million lists": P2 + b"(" + b"]" * 3_000_000 + b"t.",
    "three million places in the memory": b"\x80\x04N" + b"\x94" * 3_000_000 + b".",
    "seven million copies": P2 + b"N" + b"2" * 7_000_000 + b".",
    "seven million marks": P2 + b"(" * 7_000_000 + b"t.",
    "two million tables": P2 + b"(" + b"}" * 2_000_000 + b"t.",
    "keys of one hash": P2 + b"}(" + b"".join(_whole((2**61 - 1) * place) + b"N" for place in range(20_000)) + b"u.",
    "a storage of 2**60 values": zipped(state(tensor("0", 2**60, str(2**60), "1"))),
    "a tensor of 2**46 values of one": zipped(state(tensor("0", 4, str(2**46), "0"))),
    "a tensor that begins behind its storage": zipped(state(tensor("0", 4, "2", "1", offset=2**40))),
    "a tensor that strides out of its storage": zipped(state(tensor("0", 4, "2 2", f"{2**40} 1"))),
    "a sparse tensor of 2**40 values": zipped(state(_sparse)),
    "an archive that lies of a size": _lying_zip(),
    "an archive of two thousand names for a megabyte": _many_names_for_the_same(),
    "an archive of zeros, packed": zipped(
        state(tensor("0", 2**27, str(2**27), "1")), content=b"\0" * 2**29, pack=zipfile.ZIP_DEFLATED
    ),
    "a row of pickles whose storage has 2**62 values": _legacy(
        state(tensor("0", 2**62, "4", "1")), pickle.dumps(["0"], 2), struct.pack("<q", 2**62) + b"\0" * 16
    ),
    "an extension code": P2 + b"\x82\x01.",
    "a stack that is empty": P2 + b"a.",
    "a mark that is none": P2 + b"t.",
    "something outside": P2 + text("elsewhere") + b"Q.",
}  # fmt: skip
"""What asks for memory or time, or for nonsense."""
