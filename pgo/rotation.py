"""Rotation of the deployment's key: the keys of every dossier wrapped anew, nothing else changed.

A mark in the registry keeps servers from starting on a half rotated store; running the rotation
again with both keys finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pgo.dossier.seal import SYSTEM
from pgo.house import ROTATION, House
from pgo.office import dossiers

Track = Callable[[list[str]], Iterable[str]]


async def rotate(house: House, track: Track = iter) -> dict[str, int]:
    """Wrap all keys with the fresh key the house was opened with: how many dossiers and keys.

    Args:
        house: opened with `fresh`, while no server runs.
        track: goes along the names, telling somebody how far it is.
    """
    await house.note("keys", person="beheer", note="rotate")
    await house.store.register(*ROTATION, b"under way")
    names = [*await dossiers(house), SYSTEM]
    changed = 0
    for client in track(names):
        changed += await house.keys.rewrap(client)
    await house.store.unregister(*ROTATION)
    return {"dossiers": len(names) - 1, "keys": changed}
