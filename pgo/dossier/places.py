"""What each sealed part of a dossier is bound to: it opens in its own place only."""

from __future__ import annotations

from pgo.dossier.image import Row
from pgo.dossier.log import Change


def body_place(client: str, of: Row | Change) -> bytes:
    """Of the text of one version."""
    return f"pgo1|body|{client}|{of.rel}|{of.type}|{of.id}|{of.ver}".encode()


def commit_place(client: str, n: int) -> bytes:
    """Of commit `n`."""
    return f"pgo1|commit|{client}|{n}".encode()


def image_place(client: str, n: int, index: int, count: int) -> bytes:
    """Of one piece of an image, of so many."""
    return f"pgo1|image|{client}|{n}|{index}|{count}".encode()
