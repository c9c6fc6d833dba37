"""Batches and transactions: what a Bundle asks for, and the references inside it; pure.

Source: http://hl7.org/fhir/R4/http.html#transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgo.errors import BadRequest, BadValue, Missing, PgoError, TooLarge, Unprocessable, Unsupported
from pgo.fhir import bsn, patch, unless
from pgo.fhir.elements import Release
from pgo.fhir.large import Large
from pgo.fhir.patch import Patch
from pgo.fhir.unless import Unless

BATCH_ENTRIES: Final = 200
TRANSACTION_ENTRIES: Final = 100
_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ETAG: Final = re.compile(r'(?:W/)?"(\d{1,18})"')
_URNS: Final = ("urn:uuid:", "urn:oid:")
_TO_RESOLVE: Final = ("Patient?", *_URNS)
_LINKS: Final = frozenset({"url", "valueUri", "valueUrl", "valueUuid", "valueOid"})
_CONDITIONS: Final = {
    "ifNoneExist": {"POST"},
    "ifMatch": {"PUT", "PATCH", "DELETE"},
    "ifNoneMatch": {"GET", "HEAD"},
    "ifModifiedSince": {"GET", "HEAD"},
}
_CONDITIONAL: Final = re.compile(r"[A-Za-z]+\?")
_PAST: Final = re.compile(r"[^/]+/_history/([1-9][0-9]{0,17})", re.ASCII)
_REST_URL: Final = re.compile(r"https?://[^?#]*/([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")


@dataclass(frozen=True, slots=True)
class Known:
    """What was worked out of a resource before it came to its dossier.

    Only of one in which nothing is to be resolved and that has an id: `rows` are its index rows,
    made with the search parameters called `mark` and with `source` in its meta; `kinds` its
    categories of consent.
    """

    mark: str
    source: str
    rows: dict[str, list[Any]]
    kinds: Sequence[str]


@dataclass(slots=True)
class Op:
    """One thing asked: `place` is where it stands, for errors ("" outside a Bundle).

    `id` is "" for a create; `if_match` the version demanded, if any; `query` the part of the
    address after "?" for reads; `fault` what is already known to be wrong with it.

    `condition` is the search that says which resource is meant (PUT, PATCH, DELETE) or must not
    be there (POST), as written; `met` the id of what such a POST found; `unless` what the reader
    has already; `large` where the bytes of a Binary are that came in before it; `version` the one
    that is read, 0 for the newest; `known` what was worked out of `tree` beforehand.
    """

    method: str
    type: str
    id: str = ""
    tree: dict[str, Any] | None = None
    full_url: str = ""
    if_match: int | None = None
    query: str = ""
    path: str = ""
    place: str = ""
    index: int = 0
    fault: PgoError | None = None
    condition: str | None = None
    met: str = ""
    patch: Patch | None = None
    unless: Unless | None = None
    large: Large | None = None
    version: int = 0
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A Bundle's kind (batch or transaction) and its operations in the Bundle's order."""

    kind: str
    ops: tuple[Op, ...]

    def ordered(self) -> list[Op]:
        """DELETE, POST, PUT and PATCH, GET: the order the specification demands."""
        return sorted(self.ops, key=lambda op: _ORDER[op.method])


def version_of(etag: str, place: str) -> int:
    """The version number of an ETag such as W/"3".

    Raises:
        BadValue: not a weak ETag with a number.
    """
    match = _ETAG.fullmatch(etag.strip())
    if match is None:
        raise BadValue('If-Match is a version such as W/"3"', place=place)
    return int(match[1])


def opened(tree: dict[str, Any]) -> tuple[str, list[Any]]:
    """The kind of a batch or transaction Bundle, and its entries as they stand.

    Raises:
        BadValue: not such a Bundle; TooLarge: more entries than the limits allow.
    """
    kind = tree.get("type")
    if tree.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise BadValue("a Bundle of type batch or transaction is needed", place="Bundle.type")
    entries = tree.get("entry", [])
    if not isinstance(entries, list):
        raise BadValue("entry is a list", place="Bundle.entry")
    most = BATCH_ENTRIES if kind == "batch" else TRANSACTION_ENTRIES
    if len(entries) > most:
        raise TooLarge(f"more than {most} entries in a {kind}", place="Bundle.entry")
    return kind, entries


def read_bundle(tree: dict[str, Any], release: Release = "r4") -> Asked:
    """The operations of a batch or transaction Bundle; in a batch each bears its own fault.

    Raises:
        BadRequest: with the place of the entry; TooLarge: more entries than the limits allow.
    """
    kind, entries = opened(tree)
    one = _apart if kind == "batch" else _op
    ops = tuple(one(entry, index, release) for index, entry in enumerate(entries))
    if kind == "transaction":
        _no_duplicates(ops)
    return Asked(kind, ops)


def _apart(entry: Any, index: int, release: Release) -> Op:
    try:
        return _op(entry, index, release)
    except PgoError as fault:
        return Op("GET", "", place=f"Bundle.entry[{index}]", index=index, fault=fault)


def _op(entry: Any, index: int, release: Release) -> Op:
    place = f"Bundle.entry[{index}]"
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise Missing("an entry needs a request", place=f"{place}.request")
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _ORDER:
        raise Unsupported(
            "method is GET, HEAD, POST, PUT, PATCH or DELETE", place=f"{place}.request.method"
        )
    if not isinstance(url, str) or not url:
        raise Missing("a request needs a url", place=f"{place}.request.url")
    op = _addressed(method, url, place)
    op.index = index
    _conditions(op, request, f"{place}.request")
    op.full_url = entry["fullUrl"] if isinstance(entry.get("fullUrl"), str) else ""
    op.tree = entry.get("resource")
    _fits(op)
    if method == "PATCH":
        op.patch = patch.of_resource(op.tree, release, f"{place}.resource")
    return op


def _conditions(op: Op, request: dict[str, Any], place: str) -> None:
    """What else the request demands; a condition that does not go with its method is refused."""
    for name, methods in _CONDITIONS.items():
        if name in request and op.method not in methods:
            raise Unsupported(
                "this condition does not go with this method", place=f"{place}.{name}"
            )
    if "ifNoneExist" in request:
        op.condition = asked_of(str(request["ifNoneExist"]), op.type)
    if "ifMatch" in request:
        op.if_match = version_of(str(request["ifMatch"]), f"{place}.ifMatch")
    op.unless = unless.of_entry(request, place)


def asked_of(condition: str, type_: str) -> str:
    """The search of If-None-Exist, without what may stand before it: `?` or `Type?`."""
    return condition.removeprefix(f"{type_}?").removeprefix("?")


def _addressed(method: str, url: str, place: str) -> Op:
    where = f"{place}.request.url"
    path, _, query = url.partition("?")
    type_, *rest = path.strip("/").split("/")
    if not _TYPE.fullmatch(type_):
        raise BadValue("url is Type or Type/id, relative to the base", place=where)
    if method in {"GET", "HEAD"}:
        past = _PAST.fullmatch("/".join(rest))
        if (len(rest) > 1 and past is None) or (rest and query):
            told = "in a Bundle, read Type/id or Type/id/_history/version, or search Type?…"
            raise Unsupported(told, place=where)
        version = int(past[1]) if past else 0
        path = "/".join((type_, *rest[:1]))
        return Op(method, type_, query=query, path=path, place=place, version=version)
    if "?" in url and not rest and method != "POST":
        return Op(method, type_, condition=query, place=place)
    if "?" in url or len(rest) != (0 if method == "POST" else 1):
        raise BadValue("POST goes to Type, others to Type/id or Type?…", place=where)
    if rest and not _ID.fullmatch(rest[0]):
        raise BadValue("this is not an id", place=where)
    return Op(method, type_, id=rest[0] if rest else "", place=place)


def _fits(op: Op) -> None:
    if op.method in {"POST", "PUT", "PATCH"}:
        place = f"{op.place}.resource"
        if not isinstance(op.tree, dict):
            raise Missing("this entry needs a resource", place=place)
        if op.method != "PATCH":
            same_type(op, place)
    elif op.tree is not None:
        raise BadRequest("this entry has no use for a resource", place=f"{op.place}.resource")


def same_type(op: Op, place: str) -> None:
    """The resource is of the type, and has the id, that the address names, if it names one.

    Raises:
        BadValue: it is not.
    """
    tree = op.tree or {}
    if tree.get("resourceType") != op.type:
        raise BadValue("the resource is of another type than its address", place=place)
    if op.method == "PUT" and op.condition is None and tree.get("id") != op.id:
        raise BadValue("the resource's id is not the id in its address", place=f"{place}.id")


def _no_duplicates(ops: tuple[Op, ...]) -> None:
    seen: set[str] = set()
    for op in ops:
        for name in {f"{op.type}/{op.id}" if op.id else "", op.full_url}:
            if name and op.method not in {"GET", "HEAD"}:
                if name in seen:
                    raise BadRequest("two entries name the same resource", place=op.place)
                seen.add(name)


# --- references inside the Bundle --------------------------------------------------------------


def names_of(op: Op, target: str) -> dict[str, str]:
    """What other entries may call this entry, and what it is called from now on (Type/id)."""
    names = {op.full_url: target} if op.full_url else {}
    rest = _REST_URL.fullmatch(op.full_url)
    if rest is not None:
        names[rest[1]] = target
    return names


def resolve(
    tree: dict[str, Any], names: Mapping[str, str], patient: str, place: str
) -> dict[str, Any]:
    """The resource with references that `names` knows replaced, member order kept; a copy if so.

    `Patient?…` means the dossier's own Patient (`patient`, as Type/id): a dossier has one; what
    other conditional references mean is in `names`. A reference to an id that is a BSN is masked:
    no record here has such an id.

    Raises:
        Unprocessable: an urn:uuid that no entry bears, a conditional reference, or an id
            inside the resource that is a BSN.
    """
    if not names and _settled(tree):
        return tree
    own = {"id": tree["id"]} if "id" in tree else {}  # whether this may stay is not judged here
    try:
        found: dict[str, Any] = _resolved(tree | dict.fromkeys(own, ""), names, patient)
    except _Lost as lost:
        steps = "".join(reversed(lost.steps))
        raise Unprocessable(lost.detail, place=f"{place}{steps}") from None
    return found | own


def _settled(tree: dict[str, Any]) -> bool:
    """Whether a resource has nothing in it that `resolve` looks for when nothing has a name."""
    left: list[Any] = [tree]
    while left:
        one = left.pop()
        if type(one) is list:
            left += [each for each in one if type(each) is dict or type(each) is list]
            continue
        for key, value in one.items():
            if type(value) is dict or type(value) is list:
                left.append(value)
            elif key == "reference" and type(value) is str:
                if value.startswith(_TO_RESOLVE) or _CONDITIONAL.match(value) or bsn.in_id(value):
                    return False
            elif key == "id" and type(value) is str and one is not tree and bsn.in_id(value):
                return False
    return True


class _Lost(Exception):
    """What cannot be resolved; `steps` lead to it, innermost first, and cost nothing until then."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.steps: list[str] = []


def _resolved(tree: Any, names: Mapping[str, str], patient: str) -> Any:
    step = ""
    try:
        if type(tree) is dict:
            names, made = _within(tree, names), {}
            for key, value in tree.items():
                step = f".{key}"
                made[key] = _member(tree, key, value, names, patient)
            if "reference" in made:
                bsn.mask_reference(made)
            return made
        if type(tree) is list:
            items = []
            for index, item in enumerate(tree):
                step = f"[{index}]"
                items.append(_resolved(item, names, patient))
            return items
    except _Lost as lost:
        lost.steps.append(step)
        raise
    return tree


def _within(tree: dict[str, Any], names: Mapping[str, str]) -> Mapping[str, str]:
    """What references inside may be to: a Bundle that is kept has its own entries, as they are."""
    entries = tree.get("entry") if tree.get("resourceType") == "Bundle" else None
    if type(entries) is not list:
        return names
    own = {one.get("fullUrl") for one in entries if type(one) is dict}
    return {**names, **{name: name for name in own if type(name) is str}}


def _member(
    tree: dict[str, Any], key: str, value: Any, names: Mapping[str, str], patient: str
) -> Any:
    if type(value) is not str:
        return _resolved(value, names, patient)
    if key == "reference":
        return _reference(value, names, patient)
    if key in _LINKS and value in names and (value.startswith(_URNS) or "contentType" in tree):
        return names[value]
    if key == "id" and bsn.in_id(value):
        raise _Lost("this id may be a BSN")
    return _narrative(value, names) if key == "div" and "urn:uuid:" in value else value


def _reference(value: str, names: Mapping[str, str], patient: str) -> str:
    if value in names:
        return names[value]
    if value.startswith("Patient?"):
        return patient
    if value.startswith(_URNS):
        raise _Lost("this reference is to nothing in the Bundle")
    if _CONDITIONAL.match(value):
        raise _Lost("this reference is a search that is not offered here")
    return value


def conditional(tree: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """Each conditional reference in a resource but those to Patient: type, search, place."""
    left: list[tuple[Any, str]] = [(tree, place)]
    while left:
        here, place = left.pop()
        if type(here) is list:
            left += [(one, f"{place}[{n}]") for n, one in enumerate(here)]
        elif type(here) is dict:
            reference = here.get("reference")
            if type(reference) is str and _CONDITIONAL.match(reference):
                type_, _, asked = reference.partition("?")
                if type_ != "Patient":
                    yield type_, asked, f"{place}.reference"
            left += [(v, f"{place}.{k}") for k, v in here.items() if type(v) in (dict, list)]


def _narrative(text: str, names: Mapping[str, str]) -> str:
    for name, target in names.items():
        if name.startswith("urn:uuid:"):
            text = text.replace(name, target)
    return text
