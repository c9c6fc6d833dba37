"""Published example instances, pushed into dossiers as a provider would, and read back.

One dossier per subject and release. A made-up provider's system is linked to each with a code of a
made-up family; it pushes, reads everything back, searches it, and the report says what it saw.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pgo.caller import Caller
from pgo.demo.asking import Question, questions
from pgo.demo.examples import SubjectPlan, Unread, arrange, read
from pgo.demo.load import system_of
from pgo.demo.shapes import Organisation, Release, Resource, as_json
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Issue, PgoError
from pgo.fhir import binary, bsn, text
from pgo.fhir.bundle import read_bundle
from pgo.fhir.incoming import incoming_bundle
from pgo.fhir.large import BINARY
from pgo.fhir.query import parse
from pgo.house import House
from pgo.links import link, make_code
from pgo.office import Office, new_client
from pgo.registry import Account

FOLDERS: Final[tuple[tuple[Release, str], ...]] = (
    ("r4", "Nictiz-R4-zib2020/examples"),
    ("stu3", "Nictiz-STU3-Zib2017/Examples"),
)
SPACE: Final = "voorbeeld"
FAMILY: Final = "p-voorbeeld"
SOURCE: Final = Organisation(
    "voorbeeldbron", "Bron van voorbeelden", "instelling", "Zwolle", "038-5550199",
    "https://voorbeeldbron.example/id", "sys-voorbeeldbron",
)  # fmt: skip
_AT_ONCE: Final = 32
_ENTRY: Final = re.compile(r"Bundle\.entry\[(\d+)\](?:\.resource\.?)?")
_INDEX: Final = re.compile(r"\[\d+\]")
_OURS: Final = frozenset({"id", "meta"})

T = TypeVar("T")
Tell = Callable[[str], None]


class Refusal(NamedTuple):
    """One issue with one entry of a push, or a file that could not be read."""

    release: str
    file: str
    place: str
    code: str
    why: str


@dataclass(slots=True)
class Count:
    """What was seen of one release; resources may be in more than one dossier."""

    release: str
    files: int = 0
    dossiers: int = 0
    sent: int = 0
    accepted: int = 0
    created: int = 0
    unchanged: int = 0
    masked: int = 0
    equal: int = 0
    searches: int = 0
    agreeing: int = 0


@dataclass(slots=True)
class Seen:
    """The report: counts by release, every refusal, and whatever did not come back as sent."""

    counts: list[Count] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As one JSON value; refusals by reason, the most frequent first."""
        reasons: dict[tuple[str, str, str], list[Refusal]] = {}
        for one in self.refusals:
            reasons.setdefault((one.release, one.code, one.why), []).append(one)
        return {
            "releases": [_plain(count) for count in self.counts],
            "refused": [
                {
                    "release": release,
                    "code": code,
                    "why": why,
                    "places": sorted({one.place for one in some if one.place}),
                    "files": sorted({one.file for one in some}),
                }
                for (release, code, why), some in sorted(reasons.items(), key=_most)
            ],
            "different": self.different,
            "disagreeing": self.disagreeing,
        }


def _most(item: tuple[tuple[str, str, str], list[Refusal]]) -> tuple[int, tuple[str, str, str]]:
    return -len(item[1]), item[0]


def _plain(count: Count) -> dict[str, Any]:
    return {name: getattr(count, name) for name in count.__slots__}


async def load_examples(house: House, folder: Path, tell: Tell) -> dict[str, Any]:
    """Push all published examples in `folder`, read them back and search them; a report.

    A second time the same resources are pushed into the same dossiers, which adds nothing.

    Args:
        house: where they go.
        folder: holds `Nictiz-R4-zib2020/examples` and `Nictiz-STU3-Zib2017/Examples`.
        tell: is told about progress.

    Returns:
        `releases`: per release files, dossiers, sent, accepted (created + unchanged), masked
        BSNs, equal (read back as sent), searches and agreeing; `refused`: by reason, with files
        and places; `different` and `disagreeing`: what should be empty.

    Raises:
        BadValue: the folder does not hold them.
    """
    for _, name in FOLDERS:
        if not (folder / name).is_dir():
            raise BadValue(f"there is no {name} in this folder", place="--examples")
    keys = house.settings.key_file.parent / "demo-keys"
    caller = await system_of(house, SOURCE, keys)
    await house.registry.keep_account(Account(FAMILY, "Familie Voorbeeld", "1970-01-01", demo=True))
    seen = Seen()
    for release, name in FOLDERS:
        found, unread = read(folder / name, release)
        _cannot(release, unread, seen)
        plans = arrange(found)
        count = Count(release, len(found) + len(unread), len(plans))
        seen.counts.append(count)
        for plan in plans:
            tell(f"{release} {plan.patient or '(no subject)'}: {len(plan.files)} resources")
            await _dossier(Source(house, caller, release, count, seen), plan)
    return seen.plain()


def _cannot(release: Release, unread: Iterable[Unread], seen: Seen) -> None:
    seen.refusals += [Refusal(release, one.file, "", "unread", one.reason) for one in unread]


@dataclass(frozen=True, slots=True)
class Source:
    """The provider's system at work on one release."""

    house: House
    caller: Caller
    release: Release
    count: Count
    seen: Seen


async def _dossier(source: Source, plan: SubjectPlan) -> None:
    client = await _client(source, plan.patient)
    files = iter(plan.files)
    kept: list[Resource] = []
    for transaction in plan.transactions:
        named = {entry["request"]["url"]: next(files) for entry in transaction["entry"]}
        kept += await _push(source, client, transaction, named)
    await _read_back(source, client, kept)
    await _search(source, client, kept)


async def _client(source: Source, patient: str) -> str:
    """The dossier of a subject; made, and linked with a code of the family, the first time."""
    house, key = source.house, f"{source.release}/{patient}"
    known = await house.store.lookup(SPACE, key)
    if known is not None:
        return known.decode()
    client = new_client()
    subject = {"person": f"voorbeeld/{key}", "name": f"Voorbeeld {patient or 'zonder client'}"}
    office = Office(house, client, "demo")
    await office.create(subject | ({"patient": patient} if patient else {}))
    curator = {"person": FAMILY, "client": subject["person"], "kind": "curator"}
    rule = Rule("relation", "r-0", curator | {"order": "C/16/2026/0001", "from": "2026-01-01"})
    await office.set_rules((rule,), "demo")
    await link(house, source.caller, await make_code(house, client, FAMILY))
    await house.store.register(SPACE, key, client.encode())
    return client


# --- pushing -------------------------------------------------------------------------------------


async def _push(
    source: Source, client: str, transaction: Resource, named: dict[str, str]
) -> list[Resource]:
    """Push one transaction; without the entries it is refused for, until it is taken.

    Returns:
        The resources that are in the dossier now, as they should be there.
    """
    entries = list(transaction["entry"])
    source.count.sent += len(entries)
    while entries:
        raw = as_json({**transaction, "entry": entries})
        try:
            return await _sent(source, client, raw)
        except PgoError as error:
            faults = _by_entry(error.issues) or dict.fromkeys(range(len(entries)), error.issues)
            for number, issues in faults.items():
                url = entries[number]["request"]["url"]
                made = (_refusal(source.release, named[url], url, issue) for issue in issues)
                source.seen.refusals += made
            entries = [entry for n, entry in enumerate(entries) if n not in faults]
    return []


async def _sent(source: Source, client: str, raw: bytes) -> list[Resource]:
    tree, _ = await incoming_bundle(source.release, raw)
    asked = read_bundle(tree)
    vault = source.house.vault(source.caller, client)
    outcomes = await vault.change("transaction", source.release, asked.ordered())
    made = sum(outcome.status == 201 for outcome in outcomes)  # noqa: PLR2004 - HTTP: created
    source.count.accepted += len(outcomes)
    source.count.created += made
    source.count.unchanged += len(outcomes) - made
    expected = [entry["resource"] for entry in text.parse(raw)["entry"]]
    source.count.masked += sum(bsn.mask(resource) for resource in expected)
    return expected


def _by_entry(issues: Iterable[Issue]) -> dict[int, tuple[Issue, ...]]:
    """Issues by the number of the entry they name; those that name none are left out."""
    found: dict[int, tuple[Issue, ...]] = {}
    for issue in issues:
        match = _ENTRY.match(issue.place)
        if match:
            number = int(match[1])
            found[number] = (*found.get(number, ()), issue)
    return found


def _refusal(release: Release, file: str, url: str, issue: Issue) -> Refusal:
    """The place is within the resource, without numbers, such as `Observation.text.div`."""
    inner = _INDEX.sub("", _ENTRY.sub("", issue.place))
    place = f"{url.partition('/')[0]}.{inner}" if inner else ""
    return Refusal(release, file, place, issue.code, issue.detail)


# --- reading back --------------------------------------------------------------------------------


async def _read_back(source: Source, client: str, kept: list[Resource]) -> None:
    """Read every resource and compare its text with what was sent."""

    async def one(sent: Resource) -> bool:
        vault = source.house.vault(source.caller, client)
        found = await vault.read(source.release, sent["resourceType"], sent["id"])
        raw = found.text
        if found.row.type == BINARY:  # a large one is shown without its bytes
            raw = b"".join([part async for part in binary.written(vault, found.row)])
        return _words(text.parse(raw)) == _words(sent)

    for sent, same in zip(kept, await _together(one, kept), strict=True):
        source.count.equal += same
        if not same:
            source.seen.different.append(f"{source.release} {sent['resourceType']}/{sent['id']}")


def _words(tree: Resource) -> bytes:
    """The text of a resource without what the server sets; member order and lexemes count."""
    own = text.dump(tree.get("meta", {}))
    meta = {k: v for k, v in text.parse(own).items() if k not in _STAMPS}
    return text.dump([meta, {k: v for k, v in tree.items() if k not in _OURS}])


_STAMPS: Final = frozenset({"versionId", "lastUpdated", "source"})


async def _search(source: Source, client: str, kept: list[Resource]) -> None:
    """Ask everything there is to ask about these resources, and compare with what must be found."""
    asked = list(questions(source.release, kept))

    async def one(question: Question) -> bool:
        return await _found(source, client, question) == question.ids

    for question, agrees in zip(asked, await _together(one, asked), strict=True):
        source.count.searches += 1
        source.count.agreeing += agrees
        if not agrees:
            name = f"{source.release} {question.type}?{question.parameter}"
            source.seen.disagreeing.append(name)


async def _found(source: Source, client: str, question: Question) -> frozenset[str]:
    pairs = [(question.parameter, question.value), ("_count", "200")]
    query = parse(source.release, question.type, pairs)
    page = await source.house.vault(source.caller, client).search(query, question.parameter)
    ids = {found.row.id for found in page.found}
    while page.cursor:
        vault = source.house.vault(source.caller, client)
        page, _ = await vault.page(source.release, question.type, page.cursor, "")
        ids |= {found.row.id for found in page.found}
    return frozenset(ids)


async def _together(work: Callable[[T], Awaitable[bool]], things: list[T]) -> list[bool]:
    """The answers, in order; a few at a time, so that their audit lines share a sync."""
    done: list[bool] = []
    for start in range(0, len(things), _AT_ONCE):
        done += await asyncio.gather(*(work(one) for one in things[start : start + _AT_ONCE]))
    return done
