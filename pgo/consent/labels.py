"""When labels are covered: every sensitive one must be named, R comes along, V never does."""

from __future__ import annotations

VERY_RESTRICTED = frozenset({"V"})


def covered(sensitive: frozenset[str], named: frozenset[str]) -> bool:
    """Whether the labels `named` open a resource with these `sensitive` labels (§2 Matching).

    R is implied when a named sensitivity code stands beside it on the resource.
    """
    if not sensitive:
        return True
    missing = sensitive - named
    if not missing:
        return True
    return missing == {"R"} and bool((sensitive & named) - VERY_RESTRICTED)
