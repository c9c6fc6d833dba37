"""In what form is asked and answered: JSON or XML, of which release, how laid out; pure.

Source: https://hl7.org/fhir/R4/http.html#mime-type and #parameters; media types of STU3 and DSTU2
are understood too. `_format` counts more than Accept. A release that is not the address's own is
406 by FHIR (#version-parameter), and 400 with a challenge by MedMij (`medmij`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import orjson

from pgo.errors import BadRequest, BadValue, NotAcceptable, PgoError, Unsupported, UnsupportedMedia
from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.fhir.xml_out import to_xml

Kind = Literal["json", "xml"]
Reader = Literal["json", "xml", "json-patch", "merge-patch", "form"]

_KINDS: Final[dict[str, Kind]] = {
    "application/fhir+json": "json",
    "application/json+fhir": "json",
    "application/json": "json",
    "text/json": "json",
    "json": "json",
    "application/fhir+xml": "xml",
    "application/xml+fhir": "xml",
    "application/xml": "xml",
    "text/xml": "xml",
    "xml": "xml",
    # No pages are drawn of resources: who asks for one gets what a browser shows as well.
    "text/html": "json",
    "application/xhtml+xml": "json",
    "html": "json",
}
_SHORT: Final = frozenset({"json", "xml", "html"})
_ANY: Final[dict[str, Kind]] = {"*/*": "json", "application/*": "json", "text/*": "json"}
_READERS: Final[dict[str, Reader]] = {
    **{
        media: kind for media, kind in _KINDS.items() if media not in _SHORT and "html" not in media
    },
    "application/json-patch+json": "json-patch",
    "application/merge-patch+json": "merge-patch",
    "application/x-www-form-urlencoded": "form",
}
_VERSIONS: Final[dict[Release, frozenset[str]]] = {
    "r4": frozenset({"4.0", "4.0.0", "4.0.1"}),
    "stu3": frozenset({"3.0", "3.0.0", "3.0.1", "3.0.2"}),
}
_CHARSETS: Final = frozenset({"utf-8", "utf8"})
_MOST_OFFERS: Final = 50
_SHORT_OFFER: Final = 200
_CHALLENGE: Final = (
    'Bearer realm="pgo", error="invalid_request", '
    'error_description="Requested FHIR version not supported"'
)


@dataclass(frozen=True, slots=True)
class Format:
    """The form of an answer; `version` is told in the media type when the caller named one."""

    kind: Kind = "json"
    pretty: bool = False
    version: str = ""

    @property
    def media(self) -> bytes:
        """The Content-Type of an answer in this form."""
        version = f" fhirVersion={self.version};" if self.version else ""
        return f"application/fhir+{self.kind};{version} charset=utf-8".encode()

    @property
    def as_kept(self) -> bool:
        """Whether a JSON text of ours goes out as it is."""
        return self.kind == "json" and not self.pretty

    def body(self, raw: bytes, release: Release) -> bytes:
        """A FHIR resource of ours, given as JSON text, in this form."""
        if self.kind == "xml":
            return to_xml(raw, release, pretty=self.pretty)
        if self.pretty:
            return orjson.dumps(text.reread(raw), option=orjson.OPT_INDENT_2)
        return raw


JSON: Final = Format()


def answer_format(
    accept: str, pairs: Sequence[tuple[str, str]], release: Release, *, medmij: bool = False
) -> Format:
    """The form in which to answer.

    Args:
        accept: the Accept header, "" when there is none.
        pairs: the parameters of the request; `_format` and `_pretty` count.
        release: of the address.
        medmij: whether the rules of MedMij hold for a release that is not served here.

    Raises:
        NotAcceptable: nothing asked for is offered.
        BadRequest: MedMij's answer to another release; BadValue: `_pretty` is no boolean.
    """
    pretty, wanted = False, []
    if pairs:
        pretty = _pretty([value for name, value in pairs if name == "_pretty"])
        wanted = [value for name, value in pairs if name == "_format" and value]
    if len(wanted) > 1:
        raise BadValue("this parameter may be given once", place="_format")
    place = "_format" if wanted else "Accept"
    offered = wanted[0] if wanted else accept or "*/*"
    chosen = (_remembered if len(offered) < _SHORT_OFFER else _chosen)(offered, release)
    if chosen is not None:
        return replace(chosen, pretty=pretty) if pretty else chosen
    if any(offer.kind and offer.weight > 0 for offer in _offers(offered)):
        raise _other_release("Accept", NotAcceptable, medmij=medmij)
    raise NotAcceptable("this address answers application/fhir+json or fhir+xml", place=place)


def asks_resource(accept: str, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether a form of a resource is asked for by name, rather than a document as its bytes.

    Source: http://hl7.org/fhir/R4/binary.html#rest, for reading a Binary.
    """
    if any(name == "_format" and value for name, value in pairs):
        return True
    weights = {True: 0.0, False: 0.0}
    for media, more in map(_split, accept.split(",")[:_MOST_OFFERS]):
        form = media in _READERS
        weights[form] = max(weights[form], _weight(more))
    return weights[True] > 0 and weights[True] >= weights[False]


def _chosen(offered: str, release: Release) -> Format | None:
    """What fits best of what is offered, in this release."""
    fitting = [offer for offer in _offers(offered) if offer.kind and offer.weight > 0]
    for offer in sorted(fitting, key=lambda one: (-one.weight, not one.named)):
        if not offer.version or offer.version in _VERSIONS[release]:
            return Format(offer.kind or "json", version=offer.version)
    return None


_remembered: Final = lru_cache(maxsize=256)(_chosen)


def reader(content_type: str, release: Release, *, medmij: bool = False) -> Reader:
    """How a body is to be read, by its Content-Type.

    Raises:
        UnsupportedMedia: a media type, charset or release that is not read here.
        BadRequest: MedMij's answer to another release.
    """
    media, parameters = _split(content_type)
    found = _READERS.get(media)
    if found is None or parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMedia("send application/fhir+json or application/fhir+xml in UTF-8")
    version = parameters.get("fhirversion", "")
    if version and version not in _VERSIONS[release]:
        raise _other_release("Content-Type", UnsupportedMedia, medmij=medmij)
    return found


def _other_release(place: str, kind: type[PgoError], *, medmij: bool) -> PgoError:
    words = "this address does not speak that FHIR release"
    if medmij:
        return _NotOurRelease(words, place=place, headers={"WWW-Authenticate": _CHALLENGE})
    return kind(words, place=place)


class _NotOurRelease(Unsupported):
    """Another FHIR release was asked for (MedMij, resource interface)."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """One of the forms a caller can read; `kind` is None for one that is not offered."""

    kind: Kind | None
    weight: float
    version: str
    named: bool


def _offers(accept: str) -> Iterator[_Offer]:
    """Each form in order; `*/*` only stands for what is not named with weight 0 besides it."""
    named = accept.split(",")
    if len(named) > _MOST_OFFERS:
        raise BadRequest("too many media types", place="Accept")
    parts = [_split(one) for one in named]
    unwanted = {_KINDS[media] for media, more in parts if media in _KINDS and _weight(more) == 0}
    for media, more in parts:
        kind = _KINDS.get(media)
        if media in _ANY:
            left: list[Kind] = [one for one in (_ANY[media], "xml") if one not in unwanted]
            kind = left[0] if left else None
        yield _Offer(kind, _weight(more), more.get("fhirversion", ""), media in _KINDS)


def _split(media: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters by name in lower case."""
    name, *parameters = media.split(";")
    pairs = (part.partition("=")[::2] for part in parameters)
    media = name.strip().replace(" ", "+").lower()  # a plus in an address may have become a space
    return media, {k.strip().lower(): v.strip().strip('"') for k, v in pairs}


def _weight(parameters: dict[str, str]) -> float:
    """The q-value (RFC 9110 12.4.2); one that is none counts as 1."""
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
    return weight if 0.0 <= weight <= 1.0 else 1.0


def _pretty(values: Sequence[str]) -> bool:
    if any(value not in {"true", "false"} for value in values):
        raise BadValue("write true or false", place="_pretty")
    return bool(values) and values[-1] == "true"


def lenient_format(accept: str, pairs: Sequence[tuple[str, str]], release: Release) -> Format:
    """The form of an error: what was asked for, or JSON when that cannot be told."""
    try:
        return answer_format(accept, pairs, release)
    except PgoError:
        return JSON
