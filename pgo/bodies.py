"""What one change keeps: the text of a resource, and of a large Binary its bytes in pieces; pure.

Given the same entropy it makes the same names; sealing takes random nonces of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgo.dossier.cutting import Cutter, ids_of
from pgo.dossier.open import Dossier
from pgo.fhir import large, text
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.fhir.large import BINARY, PIECE

_NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bodies:
    """The text to keep and the one to show, what to index, and the pieces.

    `pieces` are the hex ids that the change names, `sealed` those that are not kept yet.
    """

    tree: dict[str, Any]
    kept: bytes
    shown: bytes
    pieces: tuple[str, ...]
    sealed: dict[bytes, bytes]


def bodies_of(
    dossier: Dossier,
    release: Release,
    op: Op,
    tree: dict[str, Any],
    entropy: Callable[[int], bytes] = os.urandom,
) -> Bodies:
    """What a change to `tree` keeps; `entropy` gives so many random bytes.

    A Binary whose bytes came in before (`op.large`) has their digest in the place of them.
    """
    if op.type != BINARY:
        raw = text.dump(tree)
        return Bodies(tree, raw, raw, (), {})
    if op.large is not None:
        tree = large.filled(release, tree, op.large.name)
        kept = large.packed(op.large, tree)
        ids = ids_of(dossier.keys, op.large.name, op.large.count)
        shown = large.bare(release, kept)
        return Bodies(tree, kept, shown, tuple(id_.hex() for id_ in ids), {})
    return _cut(dossier, release, tree, entropy)


def _cut(
    dossier: Dossier, release: Release, tree: dict[str, Any], entropy: Callable[[int], bytes]
) -> Bodies:
    raw = text.dump(tree)
    whole = large.bytes_of(release, tree)
    if len(whole) <= PIECE:
        return Bodies(tree, raw, raw, (), {})
    cutter = Cutter(dossier.client, dossier.keys, entropy(_NAME_BYTES))
    sealed = dict(cutter.add(whole))
    there, (id_, last) = cutter.end()
    sealed[id_] = last
    named = large.filled(release, tree, there.name)
    return Bodies(named, large.packed(there, named), raw, tuple(i.hex() for i in sealed), sealed)
