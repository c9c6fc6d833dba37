"""What changed in how a person signs in: kept with the change itself, and told in words. Pure.

News stands in the person's own entry (`pgo.oauth.means`), written in one go with what it is about:
whatever is killed when, there is never the one without the other. That list is what the person
reads on his own pages, and what is mailed from (`pgo.telling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pgo.oauth.texts import Tongue

PASSKEY, NO_PASSKEY, CODES = "passkey", "no_passkey", "codes"
RECOVERY, ENTRY, OUT, LINK, UNLINK = "recovery", "entry", "out", "link", "unlink"
KINDS: Final = (PASSKEY, NO_PASSKEY, CODES, RECOVERY, ENTRY, OUT, LINK, UNLINK)
SHOWN: Final = 30 * 86_400
"""Seconds for which people see it by themselves."""
_KEPT: Final = 90 * 86_400
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class News:
    """One thing that changed; the same thing again on one day (UTC) is counted, not repeated.

    Attributes:
        n: of two, the later one has the higher.
        kind: one of `KINDS`.
        at: when it happened last, seconds since 1970.
        times: how often; 0 when it was taken back.
        what: name of a provider, or "". Never anything a person typed.
    """

    n: int
    kind: str
    at: int
    times: int = 1
    what: str = ""


def added(news: tuple[News, ...], kind: str, at: int, what: str = "") -> tuple[News, ...]:
    """The news after one more thing; what is older than 90 days goes.

    However often somebody does what can be done, there is one entry for each kind and day, so that
    nobody can push out what he does not want to be seen.
    """
    n = max((one.n for one in news), default=0) + 1
    fresh, kept = News(n, kind, at, what=what), []
    for one in news:
        if (one.kind, one.what, one.at // _DAY) == (kind, what, at // _DAY):
            fresh = replace(fresh, times=one.times + 1)
        elif one.at > at - _KEPT:
            kept.append(one)
    return (*kept, fresh)


def taken_back(news: tuple[News, ...], kind: str, what: str = "") -> tuple[News, ...]:
    """The news when the newest of a kind did not happen after all; its number stays used."""
    mine = [one.n for one in news if (one.kind, one.what) == (kind, what)]
    return tuple(
        replace(one, times=max(one.times - 1, 0)) if mine and one.n == max(mine) else one
        for one in news
    )


def since(news: Sequence[News], n: int = 0, at: int = 0) -> list[News]:
    """What happened after number `n` and from `at` (seconds) on, newest first."""
    found = [one for one in news if one.n > n and one.at >= at and one.times]
    return sorted(found, key=lambda one: -one.n)


def sentence(one: News, words: Tongue, labels: Mapping[str, str]) -> str:
    """One thing in words; `labels` are what providers are called, by their names."""
    told = words.text(f"news.{one.kind}", provider=labels.get(one.what, one.what))
    often = words.text("news.times", count=str(one.times)) if one.times > 1 else ""
    return f"{told} {often}".rstrip()


def letter(
    news: Sequence[News], words: Tongue, labels: Mapping[str, str], address: str
) -> tuple[str, str]:
    """Subject and text of a mail; names nobody, and holds nothing anybody typed.

    Args:
        news: to be told, newest first.
        words: the language.
        labels: what providers are called.
        address: of the page where sessions are ended and keys removed.
    """
    told = [f"- {words.moment(one.at)}: {sentence(one, words, labels)}" for one in news[::-1]]
    lines = [
        words["letter.hello"], "",
        words["letter.changed"], *told, "",
        words["letter.you"], "",
        words["letter.not_here"], address,
        words["letter.then"], words["letter.never"],
    ]  # fmt: skip
    return words["letter.subject"], "\n".join(lines) + "\n"
