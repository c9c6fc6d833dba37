"""What an audit line was about, in words: "uw zorgplan", "5 uitslagen en 2 metingen". Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pgo.audit.entry import Entry
from pgo.plain.clean import listed
from pgo.plain.words import DATA, NOUNS, PERSONAL, Noun

_REST = "overig"


def what(group: Sequence[Entry], owner: str) -> str:
    """What it was about and whose it is; `owner` is his name, or "" for who reads."""
    found = counts(group)
    if not found:
        return _one_of(noun(group[0]), owner, 0)
    if len(found) == 1:
        ((code, count),) = found.items()
        return _one_of(NOUNS.get(code, DATA), owner, count)
    words = things(group)
    return f"{words} van {owner}" if owner else words


def things(group: Sequence[Entry]) -> str:
    """The same without whose it is: "het zorgplan", "5 uitslagen en 2 metingen"."""
    found = counts(group)
    return listed(each(found)) if found else noun(group[0]).many


def each(found: dict[str, int]) -> list[str]:
    """Each kind with how many there were of it."""
    return [_amount(NOUNS.get(code, DATA), count) for code, count in found.items()]


def counts(group: Sequence[Entry]) -> dict[str, int]:
    """How many of each category; over merged lines each resource counts once.

    What has no category of its own (who wrote it, where) is one kind: with other kinds beside it
    that is "andere gegevens", alone it is "gegevens" (the key "").
    """
    found: dict[str, int] = {}
    for entry in group:
        for code, count in _folded(entry).items():
            found[code] = max(count, found.get(code, 0))
    if "" in found and len(found) > 1:
        found[_REST] = found.get(_REST, 0) + found.pop("")
    complete = all(len(entry.resources) == entry.touched for entry in group)
    if len(found) == 1 and complete and any(entry.resources for entry in group):
        names = {name.partition("@")[0] for entry in group for name in entry.resources}
        return dict.fromkeys(found, len(names))
    return found


def _folded(entry: Entry) -> dict[str, int]:
    found: dict[str, int] = {}
    for code, count in entry.categories:
        known = code if code in NOUNS else ""
        found[known] = found.get(known, 0) + count
    return found


def noun(entry: Entry) -> Noun:
    """The word for what was asked, when no category is known."""
    return PERSONAL if entry.type_ == "Patient" else DATA


def _one_of(noun: Noun, owner: str, count: int) -> str:
    """One kind of thing and whose it is; count 0 says nothing about how many."""
    if count and not noun.one_only:
        words = _amount(noun, count)
        return f"{words} van {owner}" if owner else words
    if not owner:
        return f"uw {noun.many}"
    return f"{noun.article if noun.one_only else 'de'} {noun.many} van {owner}"


def _amount(noun: Noun, count: int) -> str:
    if noun.one_only:
        return f"{noun.article} {noun.one}"
    return f"{count} {noun.one if count == 1 else noun.many}" if count else noun.many
