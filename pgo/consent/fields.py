"""Strict reading of the members of a dict: one function per shape, each names the place; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pgo.consent import moments
from pgo.errors import BadValue


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    """The value, when it is an object."""
    if not isinstance(value, dict):
        raise BadValue("not an object", place=place)
    return value


def text(raw: Mapping[str, Any], name: str, place: str, *, needed: bool = False) -> str:
    """A member that is a text; "" when it is left out and not `needed`."""
    value = raw.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value):
        raise BadValue("not a text", place=f"{place}.{name}")
    return value


def flag(raw: Mapping[str, Any], name: str, place: str, *, default: bool = False) -> bool:
    """A member that is true or false."""
    value = raw.get(name, default)
    if not isinstance(value, bool):
        raise BadValue("not true or false", place=f"{place}.{name}")
    return value


def words(
    raw: Mapping[str, Any], name: str, place: str, allowed: frozenset[str] | None = None
) -> frozenset[str] | None:
    """A member that is a list of texts, all of them `allowed`; None when it is left out."""
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise BadValue("not a list of texts", place=f"{place}.{name}")
    if allowed is not None and not allowed.issuperset(value):
        raise BadValue("not a known word", place=f"{place}.{name}")
    return frozenset(value)


def when(raw: Mapping[str, Any], name: str, place: str) -> datetime | None:
    """A member that is a moment, as UTC; None when it is left out."""
    value = raw.get(name)
    return None if value is None else moments.moment(value, f"{place}.{name}")


def chosen(
    raw: Mapping[str, Any], name: str, place: str, allowed: tuple[str, ...] | frozenset[str]
) -> str:
    """A text that must be one of a few."""
    value = text(raw, name, place)
    if value not in allowed:
        raise BadValue("not a known word", place=f"{place}.{name}")
    return value


def rows(raw: Mapping[str, Any], name: str, place: str) -> list[tuple[str, Any]]:
    """A member that is a list, each row with its place; empty when it is left out."""
    value = raw.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadValue("not a list", place=f"{place}.{name}")
    return [(f"{place}.{name}[{number}]", one) for number, one in enumerate(value)]
