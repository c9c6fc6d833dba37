"""The list of erased dossiers: a file apart from the data, so that no restored copy revives one.

A line is `id micros mac`. The mac is made with a key of this deployment, so that nobody who can
write the file can have a dossier erased; a line that is torn or not ours counts for nothing.
"""

from __future__ import annotations

import hmac
import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from pgo.dossier.seal import SYSTEM, Keys, subkey
from pgo.errors import Unavailable

_MAC_BYTES: Final = 16
_PARTS: Final = 3
_log = logging.getLogger(__name__)


class ErasedList:
    """The file at `path`; `key` is the deployment's own for this list."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key

    @classmethod
    async def of(cls, path: Path, keys: Keys) -> ErasedList:
        """The list of this deployment; its key stays the same when the KEK is replaced."""
        return cls(path, subkey(await keys.audit_key(SYSTEM), b"erased"))

    def add(self, client: str, at: int) -> None:
        """Remember a dossier, for good; `at` is µs since 1970. Durable on return.

        Raises:
            Unavailable: it cannot be written; then nothing may be erased.
        """
        said = f"{client} {at}"
        line = f"{said} {self._mac(said)}\n"
        try:
            self._append(line.encode())
        except OSError as fault:
            text = "the list of erased dossiers cannot be written (PGO_ERASED_LIST)"
            raise Unavailable(f"{text}; nothing was erased") from fault

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(file, "ab+") as out:
            out.seek(0)
            torn = out.read()[-1:] not in {b"", b"\n"}
            out.write(b"\n" * torn + line)
            out.flush()
            os.fsync(out.fileno())
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def clients(self) -> list[str]:
        """The ids on the list, each once, in order of erasing; none when there is no file.

        Raises:
            Unavailable: it cannot be read.
        """
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as fault:
            text = "the list of erased dossiers cannot be read (PGO_ERASED_LIST)"
            raise Unavailable(text) from fault
        found = [line.split(" ") for line in lines if line]
        good = [parts[0] for parts in found if self._is_ours(parts)]
        if len(good) < len(found):
            _log.warning("the list of erased dossiers has lines that are not of this deployment")
        return list(dict.fromkeys(good))

    def _is_ours(self, parts: list[str]) -> bool:
        mac = self._mac(" ".join(parts[:2]))
        return len(parts) == _PARTS and hmac.compare_digest(parts[2].encode(), mac.encode())

    def _mac(self, said: str) -> str:
        return hmac.digest(self._key, said.encode(), sha256)[:_MAC_BYTES].hex()
