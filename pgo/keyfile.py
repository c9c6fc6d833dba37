"""The deployment's key (KEK): 32 bytes, from the environment or from a file of its own.

A development key is marked as such and refused by `strict`.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Final

from pgo.errors import BadValue
from pgo.settings import Settings

_BYTES: Final = 32
_DEVELOPMENT: Final = "development:"
_HOW: Final = "make one with: pgo keys make FILE"


def load_key(settings: Settings) -> bytes:
    """The deployment's key.

    Raises:
        BadValue: there is none, it is not one, or it is a development key under strict; says how
            to mend it and never shows the key.
    """
    place = "PGO_KEY" if settings.key else "PGO_KEY_FILE"
    return _parsed(settings.key or _read(settings.key_file, place), place, strict=settings.strict)


def read_key(path: Path, *, strict: bool) -> bytes:
    """The key in a file named on the command line.

    Raises:
        BadValue: there is none, it is not one, or it is a development key under strict.
    """
    return _parsed(_read(path, "FILE"), "FILE", strict=strict)


def _parsed(text: str, place: str, *, strict: bool) -> bytes:
    if text.startswith(_DEVELOPMENT) and strict:
        raise BadValue(f"strict refuses a development key; {_HOW}", place=place)
    try:
        key = base64.b64decode(text.removeprefix(_DEVELOPMENT).strip(), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise BadValue(f"the key is not base64; {_HOW}", place=place) from fault
    if len(key) != _BYTES:
        raise BadValue(f"the key is not {_BYTES} bytes; {_HOW}", place=place)
    return key


def _read(path: Path, place: str) -> str:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError as fault:
        raise BadValue(f"there is no key file; {_HOW}", place=place) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise BadValue(
            f"the key file cannot be read; mend its rights, or {_HOW}", place=place
        ) from fault


def make_key(path: Path, *, development: bool) -> bool:
    """Write a new key to `path` (mode 0600), unless there already is a file; whether it did."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = _DEVELOPMENT if development else ""
    text = mark + base64.b64encode(os.urandom(_BYTES)).decode() + "\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(file, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    return True
