"""Provider pushes out of a folder of example instances: one dossier per subject; pushes nothing.

Files are FHIR JSON or XML, one resource each, or a Bundle whose entries are taken out. A resource
belongs to the Patient it names as subject, or to the only Patient it refers to. One that names
nobody goes along with all that refer to it, so it may be in several dossiers; what nobody refers
to lands in the dossier of nobody. Entries are updates-as-create under the ids of the files, so
that references stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from pgo.demo.shapes import Release, Resource, as_json
from pgo.errors import PgoError
from pgo.fhir import text
from pgo.fhir.xml import from_xml

MOST_ENTRIES: Final = 100
MOST_BYTES: Final = 4_000_000
_SUBJECTS: Final = ("subject", "patient", "individual", "beneficiary", "for")
_OPENED: Final = frozenset({"batch", "collection", "history", "searchset", "transaction"})
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LOCAL: Final = re.compile(r"(?:https?://[^?#]*/)?([A-Z][A-Za-z]+/[^/?#]+)(?:/_history/[^/?#]+)?")


class Found(NamedTuple):
    """A resource and the file it is from.

    `url` is its fullUrl when it came in a Bundle; `was` its `Type/id` when that id did not fit.
    """

    file: str
    resource: Resource
    url: str = ""
    was: str = ""


class Unread(NamedTuple):
    """A file, or an entry in it, that gives no resource, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """One dossier and the transactions that fill it, in this order.

    Attributes:
        patient: id of its Patient; "" for the dossier of what names nobody.
        transactions: Bundles of at most 100 entries; what is referred to comes first.
        files: the file of every entry, in the same order.
        dangling: references (`Type/id`) to what is not in this dossier, left as they are.
    """

    patient: str
    transactions: tuple[Resource, ...]
    files: tuple[str, ...]
    dangling: tuple[str, ...]


def plan(folder: Path, release: Release) -> list[SubjectPlan]:
    """The dossiers of a folder, sorted by patient; the files that cannot be read are left out.

    To know which those are and why, take `read` and `arrange` one after the other.
    """
    return arrange(read(folder, release)[0])


def read(folder: Path, release: Release) -> tuple[list[Found], list[Unread]]:
    """All resources below `folder` (`*.json`, `*.xml`), by name, and what could not be read."""
    found: dict[str, Found] = {}
    unread: list[Unread] = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".json", ".xml"}):
        file = path.relative_to(folder).as_posix()
        try:
            taken = list(_opened(file, _tree(path, release)))
        except PgoError as error:
            unread.append(Unread(file, f"{error.place} {error.detail}".strip()))
            continue
        except OSError as error:
            unread.append(Unread(file, error.strerror or "not readable"))
            continue
        for one in taken:
            unread.extend(_kept(one, found))
    return list(found.values()), unread


def _tree(path: Path, release: Release) -> Resource:
    raw = path.read_bytes()
    return from_xml(raw, release) if path.suffix == ".xml" else text.parse(raw)


def _opened(file: str, tree: Resource) -> Iterator[Found]:
    """The resource of a file, or those of the Bundle it is."""
    if tree.get("resourceType") == "Bundle" and tree.get("type") in _OPENED:
        for entry in tree.get("entry", []):
            if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
                yield Found(file, entry["resource"], str(entry.get("fullUrl", "")))
    else:
        yield Found(file, tree)


def _kept(one: Found, found: dict[str, Found]) -> Iterator[Unread]:
    """Keep it under its name; one without a type, or with a name that is taken, is not kept."""
    type_ = one.resource.get("resourceType")
    if not isinstance(type_, str):
        yield Unread(one.file, "no resourceType")
        return
    named = _fitting(one, type_)
    other = found.setdefault(_name(named.resource), named)
    if other is not named and other.resource != named.resource:
        yield Unread(one.file, f"has the same type and id as {other.file}")


def _fitting(one: Found, type_: str) -> Found:
    """The resource with an id that fits in an address; one that does not is replaced."""
    id_ = one.resource.get("id")
    if isinstance(id_, str) and _ID.fullmatch(id_):
        return one
    new = str(uuid5(NAMESPACE_URL, f"{type_}|{id_ or one.url or one.file}"))
    rest = {key: value for key, value in one.resource.items() if key not in {"resourceType", "id"}}
    was = f"{type_}/{id_}" if id_ else ""
    return one._replace(resource={"resourceType": type_, "id": new} | rest, was=was)


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def arrange(found: Iterable[Found]) -> list[SubjectPlan]:
    """Group resources by subject and cut each group into transactions."""
    known = {_name(one.resource): one for one in found}
    also = _other_names(known.values())
    links = {name: tuple(_links(one.resource, also)) for name, one in known.items()}
    owners = {name: _owner(one.resource, also) for name, one in known.items()}
    groups: dict[str, set[str]] = {}
    for name, owner in owners.items():
        if owner:
            groups.setdefault(owner, set()).add(name)
    for members in groups.values():
        _take_along(members, links, owners)
    placed = set().union(*groups.values())
    alone = set(known) - placed
    _take_along(alone, links, owners)
    if alone:
        groups[""] = alone
    return [_planned(owner, groups[owner], known, links, also) for owner in sorted(groups)]


def _other_names(found: Iterable[Found]) -> dict[str, str]:
    """Everything references may call a resource: its name, its fullUrl, its unfit id."""
    also: dict[str, str] = {}
    for one in found:
        name = _name(one.resource)
        also |= {other: name for other in (name, one.url, one.was) if other}
    return also


def _target(value: object, also: dict[str, str]) -> str:
    """The name (`Type/id`) a reference is to; "" when it is to nothing outside its resource."""
    if not isinstance(value, str) or value.startswith("#"):
        return ""
    if value in also:
        return also[value]
    match = _LOCAL.fullmatch(value)
    return also.get(match[1], match[1]) if match else ""


def _links(tree: Any, also: dict[str, str]) -> Iterator[str]:
    """Names of what a resource refers to, attachments included."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in {"reference", "url"} and isinstance(value, str):
                name = _target(value, also)
                if name and (key == "reference" or name in also):
                    yield name
            else:
                yield from _links(value, also)
    elif isinstance(tree, list):
        for value in tree:
            yield from _links(value, also)


def _owner(resource: Resource, also: dict[str, str]) -> str:
    """Name of the Patient a resource is about; "" when it names none.

    Without a subject it is about the only Patient it refers to, such as a member of a CareTeam.
    """
    if resource["resourceType"] == "Patient":
        return _name(resource)
    for member in _SUBJECTS:
        value = resource.get(member)
        if isinstance(value, dict):
            name = _target(value.get("reference"), also)
            if name.startswith("Patient/"):
                return name
    named = {name for name in _links(resource, also) if name.startswith("Patient/")}
    return named.pop() if len(named) == 1 else ""


def _take_along(
    members: set[str], links: dict[str, tuple[str, ...]], owners: dict[str, str]
) -> None:
    """Add whatever members refer to and is nobody's, and what that refers to, and so on."""
    waiting = list(members)
    while waiting:
        for name in links[waiting.pop()]:
            if name not in members and owners.get(name) == "":
                members.add(name)
                waiting.append(name)


def _planned(
    owner: str,
    members: set[str],
    known: dict[str, Found],
    links: dict[str, tuple[str, ...]],
    also: dict[str, str],
) -> SubjectPlan:
    order = _in_order(owner, members, links)
    entries = [_entry(known[name].resource, also) for name in order]
    missing = {link for name in members for link in links[name]} - members
    return SubjectPlan(
        patient=owner.partition("/")[2],
        transactions=tuple(_cut(entries)),
        files=tuple(known[name].file for name in order),
        dangling=tuple(sorted(missing - {owner})),
    )


def _in_order(owner: str, members: set[str], links: dict[str, tuple[str, ...]]) -> list[str]:
    """The Patient first, then each resource after what it refers to (cycles cut where met)."""
    done: dict[str, None] = {owner: None} if owner in members else {}
    for start in sorted(members):
        path = [] if start in done else [(start, iter(links[start]))]
        walking = {start}
        while path:
            onward = next(
                (to for to in path[-1][1] if to in members - walking and to not in done), ""
            )
            if onward:
                walking.add(onward)
                path.append((onward, iter(links[onward])))
            else:
                done[path.pop()[0]] = None
    return list(done)


def _entry(resource: Resource, also: dict[str, str]) -> Resource:
    name = _name(resource)
    return {
        "fullUrl": f"urn:uuid:{uuid5(NAMESPACE_URL, name)}",
        "resource": _rewritten(resource, also),
        "request": {"method": "PUT", "url": name},
    }


def _rewritten(tree: Any, also: dict[str, str]) -> Any:
    """The tree with references by another name replaced by `Type/id`; all else as it was."""
    if isinstance(tree, dict):
        return {
            key: _renamed(value, also)
            if key == "reference" and isinstance(value, str)
            else _rewritten(value, also)
            for key, value in tree.items()
        }
    return [_rewritten(value, also) for value in tree] if isinstance(tree, list) else tree


def _renamed(reference: str, also: dict[str, str]) -> str:
    name = _target(reference, also)
    return name if name in also and not reference.startswith(name) else reference


def _cut(entries: list[Resource]) -> Iterator[Resource]:
    """Transactions of at most `MOST_ENTRIES` entries and about `MOST_BYTES` bytes."""
    part: list[Resource] = []
    size = 0
    for entry in entries:
        length = len(as_json(entry))
        if part and (len(part) == MOST_ENTRIES or size + length > MOST_BYTES):
            yield _transaction(part)
            part, size = [], 0
        part.append(entry)
        size += length
    if part:
        yield _transaction(part)


def _transaction(entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
