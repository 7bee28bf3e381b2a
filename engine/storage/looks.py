"""What a file is, by its first bytes, where it is no checkpoint: the cause in a few words. Its ending is not asked."""

from __future__ import annotations

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a git-lfs pointer, not the file itself: fetch it with `git lfs pull`"),
    (b"\x89HDF\r\n", "is an HDF5 file (Keras), which is not read here: convert its weights to safetensors"),
    (b"\x93NUMPY", "is a single numpy array, no state dict"),
    (b"GGUF", "is a GGUF file of quantized language-model weights, no image classifier"),
    (b"\x1f\x8b", "is packed with gzip: unpack it first"),
    (b"BZh", "is packed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "is packed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd: unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"\x89PNG", "is a picture (PNG)"),
    (b"\xff\xd8\xff", "is a picture (JPEG)"),
    (b"%PDF", "is a PDF document"),
    (b"\x7fELF", "is a program"),
    (b"MZ", "is a program"),
    (b"{", "is JSON text, which holds no weights (an index beside them?)"),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
_LUA = (b"\x03\x00\x00\x00\x01\x00\x00\x00", b"\x04\x00\x00\x00\x01\x00\x00\x00")
TAR = 257
"""Where a tar archive says that it is one."""


def cause(head: bytes) -> str | None:
    """Why the file cannot be a checkpoint, said of it; None where its beginning does not tell.

    Args:
        head: its first bytes, 512 where there are as many.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "is a web page, not a checkpoint: the download gave an error page or a login instead of the file"
    if not head.strip(b"\x00"):
        return "begins with nothing but zero bytes: a download that did not finish?"
    if head.startswith(_LUA) or head.startswith((b"4\n1\n", b"3\n1\n")):
        return "is a file of Torch7 (Lua): convert it with a tool that reads those"
    if head[TAR : TAR + 5] == b"ustar":
        return "is a tar archive: unpack it first (or load it with PyTorch below 1.6 and save it anew)"
    if head[:1] == b"\x08" and b"pytorch" in head[:64]:
        return "is an ONNX file, a graph: export the state dict of its network instead"
    return next((said for beginning, said in _BEGINNINGS if head.startswith(beginning)), None)
