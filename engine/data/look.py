"""What a file is by its content, whatever its name says. Free of torch and of numpy; nothing is executed."""

import tarfile
import zipfile
from pathlib import Path

HEAD = 1024
"""Bytes at the beginning that are looked at."""

_PAGES = ("<!doctype html", "<html")
_SIGNATURES = (
    (b"\x93NUMPY", "a single array (.npy)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and give the folder"),
    (b"Rar!", "a RAR archive: unpack it and give the folder"),
    (b"\x89PNG", "a single image"),
    (b"\xff\xd8\xff", "a single image"),
    (b"GIF8", "a single image"),
    (b"%PDF", "a PDF document"),
    (b"\x80\x02", "a Python pickle, which could execute code"),
    (b"\x80\x03", "a Python pickle, which could execute code"),
    (b"\x80\x04", "a Python pickle, which could execute code"),
    (b"\x80\x05", "a Python pickle, which could execute code"),
)
_ARCHIVES = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def holds_arrays(path: Path) -> bool:
    """Whether a file is a zip of numpy arrays, as a .npz file is, by whatever name; False for one cut short."""
    try:
        return zipfile.is_zipfile(path) and any(name.endswith(".npy") for name in _members(path))
    except OSError:
        return False


def what(path: Path) -> str:
    """What a file is, in a few words that follow "is".

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "an empty file"
    if head.startswith(b"PK"):
        return _zipped(path)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    for signature, name in _ARCHIVES:
        if head.startswith(signature):
            return f"a tar archive ({name}){_UNPACK}" if _is_tar(path) else f"a file compressed by {name}: unpack it"
    if _is_tar(path):
        return f"a tar archive{_UNPACK}"
    return _text(head)


_UNPACK = ": unpack it and give the folder"


def _zipped(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        return (
            f"a zip or .npz file that is cut short after {size:,} bytes, as a broken download leaves it: get it again"
        )
    names = _members(path)
    if any(name.endswith(".npy") for name in names):
        return "a .npz file"
    files = sum(not name.endswith("/") for name in names)
    if any(name.endswith("data.pkl") for name in names):
        return "a checkpoint of PyTorch"
    return f"a zip archive of {files:,} file{'s' * (files != 1)}{_UNPACK}"


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, ValueError, tarfile.TarError):  # damaged within its compression
        return False


def _text(head: bytes) -> str:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    low = text.lower()
    if low.startswith(_PAGES) or (low.startswith("<") and "<html" in low):
        return "a web page: what was downloaded is a page about the file, not the file itself"
    if low.startswith("version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself: fetch it with git lfs pull"
    if low.startswith("<?xml"):
        return "an XML text, perhaps a server's error message: get the file again"
    if low.startswith(("{", "[")):
        return "a JSON text, perhaps a server's error message"
    control = sum((ord(letter) < 32 and letter not in "\t\r\n") or letter == "\ufffd" for letter in text)
    if control * 20 <= len(text):
        return "a text file"
    return f"a file of no known kind, beginning with the bytes {head[:4].hex(' ')}"
