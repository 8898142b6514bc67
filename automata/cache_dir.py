"""The folders of what bridle can rebuild at a cost, and the sealed files of arrays that lie in them.

Idea. A cache may be slow, absent, read-only, cut short by a full disk, written by another version or by two processes
at once, and none of this may change a result. So a file says what it is (a kind, with its format's version and the
digest of what it was made from), carries a checksum over all the rest, and is written whole under another name and then
renamed. Whatever does not fit is as if it were absent: the caller rebuilds.

    magic, 8 bytes | SHA-256 of all that follows, 32 | header's length, 4 | header, JSON | arrays at multiples of 64

INVARIANT: a file read is a file written under that kind by someone who may write to the user's folders. It is no proof
of its content's truth: callers check lengths and ranges before a kernel follows an index.
INVARIANT: reading and writing raise nothing; a cache that does not work costs time and no more.

Cost: 8 MB are read and checked in 6 ms, written in 15. No pickle: a header names plain integer types and nothing else.
Nothing here imports numba.

Source: the XDG Base Directory Specification 0.8 for the folder's place. Tested by test_token_trie.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

__all__ = ["MAGIC", "cache_folders", "read_sealed", "sealed", "unsealed", "write_sealed"]

MAGIC = b"bridle\x00\x01"
_DIGEST = slice(8, 40)
_HEADER_LENGTH = slice(40, 44)
_ALIGNMENT = 64
_INTEGERS = ("|u1", "<u2", "<i4", "<i8")  # the file's byte order is fixed; on another machine they are converted


def cache_folders() -> list[Path]:
    """Where caches lie, best first: reads try all of them, writes take the first that works.

    `$BRIDLE_CACHE_DIR`, else `$XDG_CACHE_HOME/bridle`, else `~/.cache/bridle`; then one of this user alone under the
    temporary folder, for machines whose home is read-only or absent.
    """
    folders = []
    if given := os.environ.get("BRIDLE_CACHE_DIR"):
        folders.append(Path(os.path.expanduser(given)))
    else:
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        # The specification says to ignore a relative one; expanduser leaves "~" relative where there is no home.
        parent = Path(xdg) if os.path.isabs(xdg) else Path(os.path.expanduser("~")) / ".cache"
        if parent.is_absolute():
            folders.append(parent / "bridle")
    if (temporary := _private_temporary_folder()) is not None:
        folders.append(temporary)
    return folders


def _private_temporary_folder() -> Path | None:
    """A folder under the shared temporary one that no other user can write to; None where someone else was first."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"bridle-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode) or (os.name == "posix" and (status.st_uid != user or status.st_mode & 0o022)):
        return None
    return folder


def write_sealed(name: str, kind: str, arrays: Mapping[str, np.ndarray]) -> Path | None:
    """Keeps `arrays` as `name` ("vocabularies/…") in the first cache folder that takes it; None where none does."""
    content = sealed(kind, arrays)
    for folder in cache_folders():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        except OSError:
            continue
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(partial, path)  # no fsync: what a power cut leaves behind fails its checksum
            return path
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(partial)
    return None


def read_sealed(name: str, kind: str) -> dict[str, np.ndarray] | None:
    """The read-only arrays that were written as `name` under this `kind`, from the first folder that has them whole."""
    for folder in cache_folders():
        with contextlib.suppress(OSError):
            arrays = unsealed((folder / name).read_bytes(), kind)
            if arrays is not None:
                return arrays
    return None


def sealed(kind: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of a file of arrays."""
    payload = {name: np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("<")) for name, a in arrays.items()}
    listed = [[name, array.dtype.str, array.size] for name, array in payload.items()]
    assert all(dtype in _INTEGERS for _, dtype, _ in listed), listed
    header = json.dumps({"kind": kind, "arrays": listed}).encode()
    parts = [struct.pack("<I", len(header)), header]
    position = _HEADER_LENGTH.stop + len(header)
    for array in payload.values():
        parts += [bytes(-position % _ALIGNMENT), array.tobytes()]
        position += -position % _ALIGNMENT + array.nbytes
    body = b"".join(parts)
    return MAGIC + hashlib.sha256(body).digest() + body


def unsealed(content: bytes, kind: str) -> dict[str, np.ndarray] | None:
    """None unless `content` is whole, of this `kind`, and lists plain integer arrays that fill it to its end."""
    if content[:8] != MAGIC or hashlib.sha256(memoryview(content)[40:]).digest() != content[_DIGEST]:
        return None
    try:
        (length,) = struct.unpack("<I", content[_HEADER_LENGTH])
        position = _HEADER_LENGTH.stop + length
        header = json.loads(content[_HEADER_LENGTH.stop : position])
        if header["kind"] != kind:
            return None
        arrays = {}
        for name, dtype, size in header["arrays"]:
            if dtype not in _INTEGERS or not isinstance(size, int) or size < 0:
                return None
            position += -position % _ALIGNMENT
            # A view of an immutable bytes object: read-only for good.
            array = np.frombuffer(content, dtype, size, position) if size else np.empty(0, dtype)
            arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
            position += array.nbytes
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return arrays if position == len(content) else None
