"""Speed of an import, beside a loop that only validates the same files with fhir.resources."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import orjson

from pgo.bench.rows import Row
from pgo.bench.stand import Stand
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.fhir.elements import Release
from pgo.house import House
from pgo.importing import Report, bring_in, undisturbed
from pgo.judging import Judges, spare
from pgo.office import Office, new_client

_MODELS: Final[dict[Release, str]] = {"r4": "R4B", "stu3": "STU3"}


def importing(stand: Stand) -> list[Row]:
    """Files of both releases, each into a dossier of its own, as `pgo import` does.

    The processes that help an import are there before the clock runs, as the models are of both.
    """
    count = 60 if stand.quick else 1_000
    folders = {release: _files(stand.folder, release, count) for release in _MODELS}
    stand.tell("import and validation in turns")
    mine, yardstick = stand.inside(lambda house: _in_turns(house, folders, stand.runs), "import")
    whole = 2 * count
    return [
        Row("import / validation by fhir.resources only", yardstick / mine, "ratio", least=0.4),
        Row("import", whole / mine, "resources/s"),
        Row("validation only", whole / yardstick, "resources/s"),
    ]


async def _in_turns(house: House, folders: dict[Release, Path], runs: int) -> tuple[float, float]:
    """The medians of import and validation, after one turn to warm up."""
    settings = house.settings
    async with Judges(spare(), settings.profiles, settings.search_parameters) as judges:
        await judges.start()
        await judges.ready()
        await _imported(house, folders, judges)
        _validated(folders)
        with undisturbed():
            turns = [
                (await _imported(house, folders, judges), _validated(folders)) for _ in range(runs)
            ]
    mine, yardstick = zip(*turns, strict=True)
    return median(mine), median(yardstick)


def _files(folder: Path, release: Release, count: int) -> Path:
    """A folder with one file for each resource."""
    below = folder / f"import-{release}"
    below.mkdir()
    for number, tree in enumerate(many(count, release)):
        (below / f"{number:05}.json").write_bytes(as_json(tree))
    return below


async def _imported(house: House, folders: dict[Release, Path], judges: Judges) -> float:
    """Seconds to import everything into a fresh dossier."""
    client = new_client()
    office = Office(house, client)
    await office.create({"person": "veel", "name": "Vera Veel"})
    started = perf_counter()
    reports: list[Report] = [
        await bring_in(office, release, [folder], lambda _, __: None, judges)
        for release, folder in folders.items()
    ]
    passed = perf_counter() - started
    if any(report.refused for report in reports):
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
