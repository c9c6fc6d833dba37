"""What a bench tells: rows of a name, a value with its unit, and the bar it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Once = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `least` and `most` are the bar, None when there is none on that side."""

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def bar(self) -> str:
        """The bar in words, or ""."""
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"

    @property
    def ok(self) -> bool:
        """Whether the bar holds; a row without a bar is always good."""
        low = self.least is None or self.value >= self.least
        return low and (self.most is None or self.value <= self.most)

    def plain(self) -> dict[str, Any]:
        """As one JSON value."""
        value = float(f"{self.value:.4g}")
        return {
            "name": self.name, "value": value, "unit": self.unit, "bar": self.bar, "ok": self.ok
        }  # fmt: skip


def alternating(ways: Sequence[Once], runs: int) -> list[float]:
    """The median of each way, all run in turns, so that a busy spell hits every one of them."""
    found: list[list[float]] = [[] for _ in ways]
    for _ in range(runs):
        for way, kept in zip(ways, found, strict=True):
            kept.append(way())
    return [median(kept) for kept in found]
