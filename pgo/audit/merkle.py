"""A Merkle tree over chain heads (the shape of RFC 6962 section 2.1). Pure.

Leaves and nodes are hashed with different first bytes, so a node never passes for a leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

Step = tuple[bool, bytes]
"""One step of a path: whether the other node is on the right, and its hash."""


def leaf(data: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\x00" + data).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaves, in this order; of no leaves the hash of nothing."""
    level = [leaf(each) for each in leaves]
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> tuple[Step, ...]:
    """What somebody needs, beside his own leaf, to compute the root: about log2(n) steps."""
    level, steps = [leaf(each) for each in leaves], []
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            steps.append((other > index, level[other]))
        level, index = _above(level), index // 2
    return tuple(steps)


def climbs(data: bytes, steps: Sequence[Step], top: bytes) -> bool:
    """Whether this leaf with this path ends at this root."""
    here = leaf(data)
    for right, other in steps:
        here = _node(here, other) if right else _node(other, here)
    return here == top


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + [level[-1]] * (len(level) % 2)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
