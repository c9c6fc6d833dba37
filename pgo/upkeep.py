"""What a server does beside answering: anchors, sweeping, and ending with its supervisor."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from pgo.audit.anchor import Anchor, anchor_key
from pgo.dossier.seal import SYSTEM
from pgo.errors import PgoError
from pgo.house import House

MINUTE: Final = 60.0
HOUR: Final = 3600.0


def start(house: House) -> list[asyncio.Task[None]]:
    """The tasks of this process; cancel them before the house closes."""
    tasks = [
        asyncio.create_task(_anchor_each_minute(house)),
        asyncio.create_task(_sweep_each_hour(house)),
    ]
    if multiprocessing.parent_process() is not None:
        tasks.append(asyncio.create_task(_end_with_supervisor()))
    return tasks


async def sweep(house: House, older_than: float = HOUR) -> int:
    """Destroy bodies no commit refers to in the dossiers open here, and expired values.

    Args:
        house: whose open dossiers are swept; also those of the system.
        older_than: seconds; a younger body may still get its commit.
    """
    clients = [SYSTEM, *house.parts.dossiers.open_clients]
    return sum([await house.store.sweep(client, older_than) for client in clients])


async def _anchor_each_minute(house: House) -> None:
    key = anchor_key(await house.keys.anchor_seed())
    anchor = Anchor(house.trail, key, house.settings.audit_anchor)
    await _repeat("anchor", MINUTE, MINUTE, anchor.close_minute)


async def _sweep_each_hour(house: House) -> None:
    async def swept() -> None:
        count = await sweep(house)
        structlog.get_logger().info("swept", count=count)

    await _repeat("swept", MINUTE, HOUR, swept)


async def _repeat(
    event: str, first: float, seconds: float, work: Callable[[], Awaitable[object]]
) -> None:
    wait = first
    while True:
        await asyncio.sleep(wait)
        wait = seconds
        try:
            await work()
        except PgoError:
            structlog.get_logger().warning(event)


async def _end_with_supervisor() -> None:
    """Stop as if told to, so that no worker is left behind holding the port."""
    supervisor = multiprocessing.parent_process()
    while supervisor is not None and supervisor.is_alive():  # noqa: ASYNC110 - of another process
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
