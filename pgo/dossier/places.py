"""What each sealed part of a dossier is bound to, and a kept image opened in its place."""

from __future__ import annotations

import logging

from pgo.dossier.image import Image, Row
from pgo.dossier.log import Change
from pgo.dossier.seal import DossierKeys
from pgo.errors import Incident

_log = logging.getLogger(__name__)


def body_place(client: str, of: Row | Change) -> bytes:
    """Of the text of one version."""
    return f"pgo1|body|{client}|{of.rel}|{of.type}|{of.id}|{of.ver}".encode()


def commit_place(client: str, n: int) -> bytes:
    """Of commit `n`."""
    return f"pgo1|commit|{client}|{n}".encode()


def image_place(client: str, n: int, index: int, count: int) -> bytes:
    """Of one piece of an image, of so many."""
    return f"pgo1|image|{client}|{n}|{index}|{count}".encode()


def opened_image(
    client: str, keys: DossierKeys, kept: tuple[int, tuple[bytes, ...]]
) -> Image | None:
    """The image of these pieces; None when one of them does not open."""
    n, chunks = kept
    try:
        parts = [
            keys.box.open(image_place(client, n, i, len(chunks)), chunk)
            for i, chunk in enumerate(chunks)
        ]
        image = Image(b"".join(parts))
    except (Incident, ValueError):
        _log.warning("a kept image does not open; it is made again from the log")
        return None
    return image if image.n == n else None
