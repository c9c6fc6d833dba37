"""What somebody asked, in plain Dutch (B1), easier still, and in English. Pure; decides nothing.

For what child and parent agree to together and is no grant; a grant has words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pgo.consent.model import NOT_FOR_RELATIVES, NOT_FOR_REPRESENTATIVE, ONLY_AUTHOR
from pgo.consent.words import CATEGORY_WORDS
from pgo.plain.clean import clean, listed, short

Said = dict[str, str]
_WAYS: Final = ("samenvatting", "eenvoudig", "english")
_WORDS_OF_A_NAME: Final = (4, 2, 4)
_NOBODY: Final = ("iemand", "iemand", "somebody")
_NOT_YET: Final = (
    "Dit geldt nog niet: er is eerst akkoord nodig.",
    "Dit geldt nog niet.",
    "This does not hold yet: it needs the other's yes.",
)
_AS_BEFORE: Final = (
    "Er verandert niets aan wat er mag. Een nee verandert nu ook niets.",
    "Er verandert niets.",
    "It stays as it is. A no changes nothing now either.",
)
_OPENS: Final[Mapping[str, tuple[str, str, str]]] = {
    "unseal": (
        "{by} wil een zegel weghalen.",
        "{by} wil een zegel weghalen.",
        "{by} wants to take off a seal.",
    ),
    "reseal": (
        "{by} wil een zegel lichter maken.",
        "{by} wil een zegel lichter maken.",
        "{by} wants to make a seal lighter.",
    ),
    "successor": (
        "{by} wil {to} aanwijzen als opvolger. Een opvolger regelt later de toegang.",
        "{by} wil {to} als opvolger. Er verandert nu niets.",
        "{by} wants to name {to} as successor. A successor later decides about access.",
    ),
    "relation": (
        "{by} wil vastleggen dat {to} de cliënt vertegenwoordigt. Dat is als {kind}.",
        "{by} wil dat {to} de cliënt vertegenwoordigt.",
        "{by} wants to record that {to} represents the client. That is as {kind}.",
    ),
    "admit": (
        "{by} wil de uitsluiting van {to} stoppen. Daarna kan {to} weer toegang hebben.",
        "{by} wil {to} niet meer uitsluiten.",
        "{by} wants to stop keeping {to} out. After that {to} can have access again.",
    ),
    "keep": (
        "{by} wil de toestemming voor {to} laten doorgaan.",
        "{by} wil dit voor {to} laten doorgaan.",
        "{by} wants to let the grant for {to} go on.",
    ),
}
_HIDDEN: Final[Mapping[str, tuple[str, str, str]]] = {
    ONLY_AUTHOR: (
        "behalve de schrijver en de cliënt ziet niemand het",
        "bijna niemand ziet het",
        "nobody but the writer and the client sees it",
    ),
    NOT_FOR_REPRESENTATIVE: (
        "ouders en andere vertegenwoordigers zien het niet",
        "ouders zien het niet",
        "parents and other representatives do not see it",
    ),
    NOT_FOR_RELATIVES: (
        "naasten en copiloten zien het niet",
        "naasten zien het niet",
        "relatives and copiloten do not see it",
    ),
}
_NOW: Final = ("Zoals het nu is: {text}.", "Nu geldt: {text}.", "As it is now: {text}.")
_THEN: Final = ("Daarna geldt: {text}.", "Straks geldt: {text}.", "After that: {text}.")
_OPEN: Final = (
    "Daarna ziet ieder het die zulke gegevens mag zien.",
    "Daarna zien meer mensen het.",
    "After that everybody who may see such data sees it.",
)
_ABOUT: Final = ("Het gaat om: {what}.", "Het gaat om: {what}.", "It is about: {what}.")
_UNSEEN: Final = (
    "U ziet nu niet wat het is.",
    "U ziet nu niet wat het is.",
    "You do not see now what it is.",
)
_INSTEAD: Final = ("Nu is dat {old}.", "Nu is dat {old}.", "Now that is {old}.")
_CHECKED: Final = (
    "Een beheerder kijkt daarna eerst naar het bewijs.",
    "Daarna kijkt een beheerder naar het bewijs.",
    "After that an operator looks at the evidence first.",
)
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "ouder": ("ouder", "parent"),
    "voogd": ("voogd", "guardian (voogd)"),
    "mentor": ("mentor", "mentor"),
    "curator": ("curator", "curator"),
    "gemachtigde": ("gemachtigde", "authorised person"),
    "partner": ("partner", "partner"),
    "kind": ("kind", "child"),
    "broer": ("broer", "brother"),
    "zus": ("zus", "sister"),
    "familie": ("familie", "family"),
}
_IN_LAW: Final = frozenset({"mentor", "curator", "gemachtigde"})


def said(
    what: str,
    wants: Mapping[str, Any],
    people: tuple[str, str],
    names: Mapping[str, str],
    categories: Sequence[str] = (),
) -> Said:
    """What was asked, said in three ways; `categories` of the data, when the reader may see it.

    Args:
        what: unseal, successor, relation, admit or keep.
        wants: what exactly is asked, as it is kept.
        people: who asked it, and about whom ("" for nobody).
        names: what people call the persons in it; who is not there is "somebody".
        categories: what kind of data lies under the seal.
    """
    return {
        way: " ".join(_sentences(number, what, wants, people, names, categories))
        for number, way in enumerate(_WAYS)
    }


def _sentences(
    way: int,
    what: str,
    wants: Mapping[str, Any],
    people: tuple[str, str],
    names: Mapping[str, str],
    categories: Sequence[str],
) -> list[str]:
    opening = "reseal" if what == "unseal" and wants.get("becomes") else what
    by, to = (_name(way, names, id_) for id_ in people)
    text = _OPENS[opening][way].format(by=_first(by), to=to, kind=_kind(way, wants))
    if what == "keep":
        return [text, _AS_BEFORE[way]]
    more: list[str] = []
    if what == "unseal":
        more = _of_a_seal(way, wants, categories)
    elif wants.get("instead_of"):
        more = [_INSTEAD[way].format(old=_name(way, names, str(wants["instead_of"])))]
    elif what == "relation" and (wants.get("gezag") or wants["kind"] in _IN_LAW):
        more = [_CHECKED[way]]
    return [text, *more, _NOT_YET[way]]


def _of_a_seal(way: int, wants: Mapping[str, Any], categories: Sequence[str]) -> list[str]:
    english = way == len(_WAYS) - 1
    kinds = [one if english else CATEGORY_WORDS.get(one, one) for one in categories]
    what = ", ".join(kinds) if english else listed(kinds)
    about = _ABOUT[way].format(what=what) if kinds else _UNSEEN[way]
    now = _NOW[way].format(text=_HIDDEN[wants["label"]][way])
    becomes = wants.get("becomes")
    then = _THEN[way].format(text=_HIDDEN[becomes][way]) if becomes else _OPEN[way]
    return [about, now, then]


def _kind(way: int, wants: Mapping[str, Any]) -> str:
    kind = str(wants.get("as") or wants.get("kind", ""))
    return _KINDS[kind][way == len(_WAYS) - 1] if kind in _KINDS else kind


def _name(way: int, names: Mapping[str, str], id_: str) -> str:
    known = clean(names.get(id_, ""))
    return short(known, _WORDS_OF_A_NAME[way]) if known else _NOBODY[way]


def _first(name: str) -> str:
    return name[:1].upper() + name[1:]
