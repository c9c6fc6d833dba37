"""House rules: sizes, rooms for libraries, pure modules, errors, settings and routes."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from pgo import errors
from pgo.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "pgo").rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 400, 40

ROOMS = {
    "authlib": ("pgo/oauth/",),
    "fastapi": (
        *("pgo/app.py", "pgo/framework.py", "pgo/regie_routes.py", "pgo/witness.py"),
        *("pgo/sharing_routes.py", "pgo/notice_routes.py", "pgo/question_routes.py"),
        *("pgo/oauth/", "pgo/bench"),
        "pgo/commands/bench.py",
    ),
    "fhir": ("pgo/fhir/validate.py", "pgo/bench"),
    "lxml": ("pgo/fhir/xml.py",),
    "pymongo": ("pgo/store/mongo",),
    "sqlite3": ("pgo/store/sqlite", "pgo/dossier/image.py"),
    "typer": ("pgo/cli.py", "pgo/commands/"),
    "uvicorn": ("pgo/commands/", "pgo/connection.py", "pgo/limits.py", "pgo/bench"),
}
PURE = {
    "pgo/consent/decide.py": {"pgo.consent", "pgo.caller", "pgo.errors"},
    "pgo/consent/life.py": {"pgo.consent", "pgo.caller", "pgo.errors"},
    "pgo/consent/sound.py": {"pgo.consent", "pgo.caller", "pgo.errors"},
    "pgo/fhir/search.py": {"pgo.fhir", "pgo.errors"},
    "pgo/fhir/index.py": {"pgo.fhir", "pgo.errors"},
    "pgo/fhir/validate.py": {"pgo.fhir", "pgo.errors"},
    "pgo/plain/notices.py": {"pgo.plain"},
    "pgo/plain/who.py": {"pgo.plain", "pgo.audit.entry", "pgo.audit.catalogue"},
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found | set(re.findall(r'"(fhir\.resources)', path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_it_is_and_stays_small(path):
    tree = ast.parse(path.read_text())
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_MODULE
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            own = length - sum(
                (inner.end_lineno or 0) - inner.lineno + 1
                for inner in ast.walk(node)
                if inner is not node and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            assert own <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_lives_in_its_own_room(library):
    users = {
        _name(path)
        for path in SOURCES
        if any(name == library or name.startswith(f"{library}.") for name in _imports(path))
    }
    assert users, "nobody uses it: take it out"
    assert {user for user in users if not user.startswith(ROOMS[library])} == set()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_nothing_above_it(name):
    ours = {module for module in _imports(ROOT / name) if module.startswith("pgo")}
    allowed = PURE[name]
    strange = {
        module
        for module in ours
        if not any(module == room or module.startswith(f"{room}.") for room in allowed)
    }
    assert strange == set()


def _error_classes() -> list[type[errors.PgoError]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.PgoError)
    ]


@pytest.mark.parametrize("error", _error_classes(), ids=lambda each: each.__name__)
def test_every_error_is_drawn_in_the_tree_and_used(error):
    assert error.__name__ in (errors.__doc__ or "")
    everywhere = "".join(path.read_text() for path in SOURCES if path.name != "errors.py")
    used = re.search(rf"\b{error.__name__}\b", everywhere)
    assert used or error.__subclasses__(), "no code raises it: take it out"
    assert error.dutch.endswith(".")
    assert 400 <= error.status < 600


def test_the_settings_table_of_the_readme_is_the_settings():
    rows = re.findall(r"^\| `PGO_([A-Z0-9_]+)` \| (.*?) \| (.*?) \|$", _readme(), re.MULTILINE)
    written = {name.lower(): (default, text) for name, default, text in rows}
    fields = Settings.model_fields
    assert set(written) == set(fields) | {"config"}
    for name, field in fields.items():
        default = written[name][0].strip("`")
        assert default == ("" if field.default in (None, "") else str(field.default)), name
        assert written[name][1] == field.description, name


def test_the_map_of_the_readme_leads_to_files_that_are_there():
    section = _readme().partition("## I want to change")[2].partition("\n## ")[0]
    places = re.findall(r"`((?:pgo|tests|deploy|fhir_profiles)[\w./-]*)`", section)
    assert len(places) >= 10
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_no_registry_host_or_path_of_a_machine_is_written_down():
    told = re.compile(r"pypi\.org|registry\.npmjs|files\.pythonhosted|/root/|/home/\w|/work/")
    kept = [p for p in ROOT.rglob("*") if _kept(p)]
    assert len(kept) > 100
    assert [_name(p) for p in kept if told.search(p.read_text("utf-8", "replace"))] == []


def _kept(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    hidden = any(part.startswith(".") and part != ".ci" for part in parts)
    built = {"__pycache__", "var", "build", "node_modules"} & set(
        parts
    ) or "egg-info" in path.as_posix()
    return path.is_file() and not hidden and not built and path != Path(__file__).resolve()


def _readme() -> str:
    return (ROOT / "README.md").read_text()
