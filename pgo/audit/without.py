"""An audit line without what is sealed for its reader: not even its number is told. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pgo.audit.entry import Entry


def without(
    entry: Entry, hidden: Mapping[str, tuple[str, ...]], seals: Iterable[str]
) -> Entry | None:
    """The line as if the hidden resources were not there; None when it is about nothing else.

    Args:
        entry: one line.
        hidden: for each hidden "Type/id@version" the categories it was counted under.
        seals: labels that would tell that there was something sealed.

    Returns:
        What was asked goes too: it may name what was found. A line whose list was cut off (very
        many resources) keeps no counts: they could tell.
    """
    gone = [name for name in entry.resources if name in hidden]
    if not gone:
        return entry
    left = tuple(name for name in entry.resources if name not in hidden)
    if not left:
        return None
    counts = Counter(dict(entry.categories))
    counts.subtract(category for name in gone for category in hidden[name])
    whole = entry.touched == len(entry.resources)
    return replace(
        entry,
        resources=left,
        total=len(left),
        categories=tuple(sorted((+counts).items())) if whole else (),
        labels=tuple(label for label in entry.labels if label not in set(seals)),
        query="",
    )
