"""One new file, readable by its owner only and on the disk when it is closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is not there yet; durable when the block ends.

    Its name is durable when its folder is settled (`pgo.store.sqlite_files.settle`).

    Raises:
        FileExistsError: there is one by that name.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
