"""Speed of an import, beside a loop that only validates the same files with fhir.resources."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import orjson

from pgo.bench.rows import Row, alternating
from pgo.bench.stand import Stand
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.fhir.elements import Release
from pgo.house import House
from pgo.importing import Report, bring_in
from pgo.office import Office, new_client

_MODELS: Final[dict[Release, str]] = {"r4": "R4B", "stu3": "STU3"}


def importing(stand: Stand) -> list[Row]:
    """Files of both releases, each into a dossier of its own, as `pgo import` does."""
    count = 60 if stand.quick else 300
    folders = {release: _files(stand.folder, release, count) for release in _MODELS}
    stand.tell("import and validation in turns")
    ours = partial(stand.inside, lambda house: _imported(house, folders, count), "import")
    theirs = partial(_validated, folders)
    for warm in (ours, theirs):
        warm()
    mine, yardstick = alternating([ours, theirs], stand.runs)
    whole = 2 * count
    return [
        Row("import / validation by fhir.resources only", yardstick / mine, "ratio", least=0.4),
        Row("import", whole / mine, "resources/s"),
        Row("validation only", whole / yardstick, "resources/s"),
    ]


def _files(folder: Path, release: Release, count: int) -> Path:
    """A folder with one file for each resource."""
    below = folder / f"import-{release}"
    below.mkdir()
    for number, tree in enumerate(many(count, release)):
        (below / f"{number:05}.json").write_bytes(as_json(tree))
    return below


async def _imported(house: House, folders: dict[Release, Path], count: int) -> float:
    """Seconds to import everything into a fresh dossier."""
    client = new_client()
    office = Office(house, client)
    await office.create({"person": "veel", "name": "Vera Veel"})
    started = perf_counter()
    reports: list[Report] = [
        await bring_in(office, release, [folder], lambda _, __: None)
        for release, folder in folders.items()
    ]
    passed = perf_counter() - started
    if any(report.accepted != count for report in reports):
        raise ValueError("the import of the bench was not accepted whole")
    return passed


def _validated(folders: dict[Release, Path]) -> float:
    """Seconds to read and validate everything."""
    started = perf_counter()
    for release, folder in folders.items():
        model: Callable[[str], Any] = import_module(
            f"fhir.resources.{_MODELS[release]}"
        ).get_fhir_model_class
        for file in sorted(folder.iterdir()):
            tree = orjson.loads(file.read_bytes())
            model(tree["resourceType"]).model_validate(tree)
    return perf_counter() - started
