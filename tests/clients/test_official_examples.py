"""HL7's own R4 examples, one dossier per subject: taken, read back as written, and all found.

873 resources: the package `hl7.fhir.r4.examples` without what defines FHIR itself (CodeSystem,
SearchParameter, StructureDefinition, ValueSet); its SearchParameters say what is asked. A resource
is about the Patient it names; what names nobody goes along with whatever refers to it, and what
nobody refers to is in a dossier of nobody.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from lxml import etree

from pgo import authorship
from pgo.demo.asking import Question
from pgo.demo.examples import Found, SubjectPlan, arrange
from pgo.fhir import bsn, text
from pgo.fhir.bundle import Op
from pgo.fhir.refused import NOT_TAKEN
from pgo.house import House
from pgo.office import Office

from . import brute
from .conftest import MODULES, Record

FOLDER = MODULES / "hl7.fhir.r4.examples"
DEFINING = frozenset({"CodeSystem", "SearchParameter", "StructureDefinition", "ValueSet"})
STAMPED = frozenset({"versionId", "lastUpdated", "source"})
AT_ONCE = 8
MOST_VALUES = 12
ELSEWHERE = re.compile(rb'"https?://[^"]*/(Patient/[A-Za-z0-9.-]+)"')
TOO_LARGE = "A body here may have at most 2000000 bytes, also unpacked."
ABOUT = "this is about somebody else than the dossier"
NO_PERSON = frozenset({authorship.ANOTHER, authorship.ORDER})
REFUSED = {
    # Definitions of FHIR itself, of 2 to 35 MB.
    (413, "too-long", TOO_LARGE): {
        *("Bundle-dataelements.json", "Bundle-extensions.json", "Bundle-profiles-others.json"),
        *("Bundle-resources.json", "Bundle-searchParams.json", "Bundle-types.json"),
        *("Bundle-v2-valuesets.json", "Bundle-v3-valuesets.json", "Bundle-valuesets.json"),
        *("Bundle-valueset-expansions.json", "ImplementationGuide-fhir.json", "ig-r4.json"),
    },
    # Items without a linkId, which is 1..1; fhir.resources refuses it too.
    (422, "required", "This element is required."): {"Questionnaire-qs1.json"},
    # Consents about who may see what (scope patient-privacy): these are made in the PGO itself.
    (404, "not-found", "not found"): {
        *(f"Consent-consent-example-{name}.json" for name in ("basic", "grantor", "signature")),
        *(f"Consent-consent-example-{name}.json" for name in ("Emergency", "Out", "pkb")),
        *(f"Consent-consent-example-not{name}.json" for name in ("Author", "Org", "Them")),
        *(f"Consent-consent-example-not{name}.json" for name in ("This", "Time")),
        "Consent-consent-example-smartonfhir.json",
    },
    # Amounts of medicine without a unit: nobody can tell of what.
    (422, "required", "An amount of medicine needs a unit: say of what, in unit or in code."): {
        "MedicationRequest-medrx0339.json",
        *("MedicationStatement-example003.json", "MedicationStatement-example006.json"),
    },
    # Nobody would be told: Subscriptions are not served.
    (422, "not-supported", NOT_TAKEN["Subscription"]): {
        *("Subscription-example.json", "Subscription-example-error.json"),
    },
    # The subject is a Patient at the address of another server; taken with its own address.
    (422, "processing", ABOUT): {
        *("QuestionnaireResponse-bb.json", "QuestionnaireResponse-ussg-fht-answers.json"),
        "ServiceRequest-myringotomy.json",
    },
}
"""Every reason for which an example is not taken as it is, with the examples; no other is."""
MASKED = {
    # Dutch Patients and Practitioners with a BSN.
    *("Patient-f001.json", "Patient-f201.json", "Bundle-b248b1b2-1686-4b94-9936-37d7a5f94b51.json"),
    *(f"Practitioner-f00{number}.json" for number in range(1, 8)),
    # Texts with a number of nine digits that passes the test of a BSN.
    *("Bundle-3ad0687e-f477-468c-afd5-fcc2bf897809.json", "Bundle-conceptmaps.json"),
    *("ConceptMap-102.json", "PlanDefinition-low-suicide-risk-order-set.json"),
    *(f"MolecularSequence-graphic-example-{number}.json" for number in (1, 3, 5)),
    "QuestionnaireResponse-3141.json",
}
"""Examples in which something is masked as a BSN; they are compared with the rest as it was."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="not installed: make install-node"),
]


@dataclass
class Kept:
    """A dossier and what was taken into it: file → text as published."""

    record: Record
    taken: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Loaded:
    """All dossiers, how many files there are, and refusals: reason → files."""

    files: int
    dossiers: list[Kept]
    refused: dict[tuple[int, str, str], set[str]]
    brought: list[tuple[Kept, str, bytes]] = field(default_factory=list)

    def note(self, kept: Kept, file: str, sent: bytes, answer: httpx2.Response) -> None:
        if answer.status_code == 201:
            kept.taken[file] = as_kept(sent)
        elif reason(answer)[2] in NO_PERSON:
            self.brought.append((kept, file, sent))
        else:
            self.refused.setdefault(reason(answer), set()).add(file)


def published() -> Iterator[tuple[str, bytes]]:
    for file in sorted(FOLDER.glob("*.json")):
        if file.name != "package.json" and file.name.partition("-")[0] not in DEFINING:
            yield file.name, file.read_bytes()


def plain(raw: bytes) -> Any:
    """As JSON, with numbers as written."""
    return json.loads(raw, parse_float=Decimal)


@asynccontextmanager
async def calling(record: Record) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": record.bearer, "Content-Type": "application/fhir+json"}
    base = f"{record.named}/"
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        yield http


async def together(work: Callable[[Any], Awaitable[Any]], things: list[Any]) -> list[Any]:
    """A few at a time, answers in order."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(thing: Any) -> Any:
        async with turns:
            return await work(thing)

    return await asyncio.gather(*(one(thing) for thing in things))


def as_kept(sent: bytes) -> bytes:
    """A text as it must come back: without a BSN."""
    tree = text.parse(sent)
    return text.dump(tree) if bsn.mask(tree) else sent


def address(raw: bytes) -> str:
    tree = plain(raw)
    return f"{tree['resourceType']}/{tree['id']}"


@pytest.fixture(scope="module")
def loaded(running) -> Loaded:
    """Everything pushed, resource by resource, over HTTP; what names others as author is brought.

    A person may not write in a doctor's name, so an operator brings those in as they are.
    """
    files = dict(published())
    plans = arrange([Found(name, text.parse(raw)) for name, raw in files.items()])
    twice = set(files) - {name for plan in plans for name in plan.files}
    made = Loaded(len(files), [], {})

    async def dossiers(house: Any) -> list[Record]:
        return [await running.make(house, plan.patient or "nobody") for plan in plans]

    async def push(plan: SubjectPlan, record: Record) -> None:
        kept = Kept(record)
        made.dossiers.append(kept)
        async with calling(record) as http:
            for file in (*plan.files, *(() if plan.patient else twice)):
                sent = files[file]
                answer = await http.put(address(sent), content=sent)
                if answer.status_code == 422 and reason(answer)[2] == ABOUT:
                    made.refused.setdefault(reason(answer), set()).add(file)
                    sent = ELSEWHERE.sub(rb'"\1"', sent)
                    answer = await http.put(address(sent), content=sent)
                made.note(kept, file, sent, answer)

    async def whole(records: list[Record]) -> None:
        for plan, record in zip(plans, records, strict=True):
            await push(plan, record)

    async def bring(house: House) -> None:
        for kept, file, sent in made.brought:
            tree = text.parse(as_kept(sent))  # read as an import reads it
            op = Op("PUT", tree["resourceType"], tree["id"], tree)
            await Office(house, kept.record.id, "test").bring_in("r4", [op], whole=True)
            kept.taken[file] = as_kept(sent)

    asyncio.run(whole(running.inside(dossiers)))
    running.inside(bring)
    return made


def reason(answer: httpx2.Response) -> tuple[int, str, str]:
    issue = answer.json()["issue"][0]
    return answer.status_code, issue["code"], issue["diagnostics"]


@pytest.fixture
def tell(request, capsys) -> Callable[[str], None]:
    """Puts a line in what the run shows."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")

    def line(words: str) -> None:
        with capsys.disabled():
            reporter.write_line(words)

    return line


def test_all_are_taken_that_keep_to_the_limits_and_the_others_are_named(loaded, tell):
    for (status, code, why), files in loaded.refused.items():
        tell(f"not taken: {status} {code} {why} {len(files)}: {' '.join(sorted(files))}")
    assert loaded.files == 873
    assert loaded.refused == REFUSED
    taken = {file for one in loaded.dossiers for file in one.taken}
    refused = {file for files in REFUSED.values() for file in files}
    assert len(taken | refused) == loaded.files
    assert len(taken) == 843
    masked = {
        file
        for one in loaded.dossiers
        for file in one.taken
        if bsn.mask(text.parse((FOLDER / file).read_bytes()))
    }
    assert masked == MASKED


# --- reading back --------------------------------------------------------------------------------


async def back(loaded: Loaded, accept: str) -> AsyncIterator[tuple[str, bytes, bytes]]:
    """(file, text as sent, text as answered) of everything."""
    for one in loaded.dossiers:
        async with calling(one.record) as http:

            async def read(sent: bytes, http: httpx2.AsyncClient = http) -> bytes:
                answer = await http.get(address(sent), headers={"Accept": accept})
                assert answer.status_code == 200, answer.text
                return answer.content

            answers = await together(read, list(one.taken.values()))
        for (file, sent), answered in zip(one.taken.items(), answers, strict=True):
            yield file, sent, answered


def without_stamps(tree: dict[str, Any]) -> dict[str, Any]:
    """A resource without what the server puts in its meta."""
    meta = {name: one for name, one in tree.get("meta", {}).items() if name not in STAMPED}
    rest = {name: one for name, one in tree.items() if name != "meta"}
    return rest | ({"meta": meta} if meta else {})


def lexemes(tree: Any, name: str = "") -> Iterator[str]:
    """Every primitive as written, in no particular order; narrative only as that it is there."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key != "resourceType" or "resourceId" in tree:  # an element of ExampleScenario
                yield from lexemes(value, key)
    elif isinstance(tree, list):
        for one in tree:
            yield from lexemes(one, name)
    elif tree is not None:
        yield "<div>" if name == "div" else str(tree).lower() if tree in BOOLEANS else str(tree)


BOOLEANS = (True, False)


def xml_lexemes(node: Any) -> Iterator[str]:
    """The same of XML."""
    for child in node:
        if child.tag.endswith("}div"):
            yield "<div>"
        else:
            yield from child.attrib.values()
            yield from xml_lexemes(child)


def unstamped(answered: bytes) -> Any:
    """An XML resource without what the server puts in its meta."""
    root = etree.fromstring(answered)
    for meta in root.findall("{http://hl7.org/fhir}meta"):
        for child in list(meta):
            if child.tag.rpartition("}")[2] in STAMPED:
                meta.remove(child)
    return root


async def test_every_one_is_read_back_with_the_same_lexemes(loaded):
    seen, different = 0, []
    async for file, sent, answered in back(loaded, "application/fhir+json"):
        seen += 1
        one, other = (without_stamps(plain(each)) for each in (answered, sent))
        if one != other or Counter(lexemes(one)) != Counter(lexemes(other)):
            different.append(file)
    assert (different, seen >= 843) == ([], True)


async def test_every_one_is_read_back_in_xml_with_the_same_lexemes(loaded):
    seen, different = 0, []
    async for file, sent, answered in back(loaded, "application/fhir+xml"):
        seen += 1
        written = Counter(xml_lexemes(unstamped(answered)))
        if written != Counter(lexemes(without_stamps(plain(sent)))):
            different.append(file)
    assert (different, seen >= 843) == ([], True)


# --- searching -----------------------------------------------------------------------------------


def parameters() -> list[brute.Defined]:
    """As published, but `_lastUpdated`, which is of this server and not of the examples."""
    every = brute.defined(plain(one.read_bytes()) for one in FOLDER.glob("SearchParameter-*.json"))
    return [one for one in every if one.code != "_lastUpdated"]


NOT_ASKED = "this may be a BSN, and is not asked here"
NOT_SEARCHED = "a Binary is not searched for; search for the documents that refer to it"


def refused_rightly(question: Question, answer: frozenset[str] | str) -> bool:
    """A number that may be a BSN is asked of no identifier; a Binary is found by its document."""
    if question.type == "Binary":
        return answer == NOT_SEARCHED
    return answer == NOT_ASKED and question.parameter == "identifier"


async def found(http: httpx2.AsyncClient, question: Question) -> frozenset[str] | str:
    """The ids of all pages, or why it was refused."""
    asked = {question.parameter: question.value, "_count": "200", "_elements": "id"}
    answer = await http.get(question.type, params=asked)
    ids: set[str] = set()
    while answer.status_code == 200:
        bundle = answer.json()
        ids |= {entry["resource"]["id"] for entry in bundle.get("entry", ())}
        onward = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not onward:
            return frozenset(ids)
        answer = await http.get(onward[0])
    return str(answer.json()["issue"][0]["diagnostics"])


async def test_every_search_finds_what_reading_everything_finds(loaded, tell):
    asked, wrong = Counter[str](), []
    known = parameters()
    for one in loaded.dossiers:
        trees = [plain(raw) for raw in one.taken.values()]
        every = list(brute.questions(known, trees, MOST_VALUES))
        async with calling(one.record) as http:
            answers = await together(lambda question, http=http: found(http, question), every)
        for question, answer in zip(every, answers, strict=True):
            asked[f"{question.type}?{question.parameter}"] += 1
            if answer != question.ids and not refused_rightly(question, answer):
                wrong.append((question, answer))
    tell(f"{asked.total()} searches by {len(asked)} parameters")
    assert wrong == []
    assert asked.total() > 12_000
