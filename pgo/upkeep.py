"""What a server does beside answering: anchors, sweeping, telling, ending with its supervisor."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog

from pgo import life, telling
from pgo.audit.anchor import Anchor, anchor_key
from pgo.dossier.seal import SYSTEM
from pgo.errors import NotFound
from pgo.house import House
from pgo.log import report

MINUTE: Final = 60.0
HOUR: Final = 3600.0
Work = Callable[[], Awaitable[object]]


@asynccontextmanager
async def kept_up(house: House) -> AsyncIterator[None]:
    """Inside this block the tasks of this process run; at its end the last minute is anchored."""
    key = anchor_key(await house.keys.anchor_seed())
    anchor = Anchor(house.trail, key, house.settings.audit_anchor)
    tasks = [
        asyncio.create_task(_repeat(MINUTE, MINUTE, anchor.close_minute)),
        asyncio.create_task(_repeat(MINUTE, HOUR, partial(_sweep, house))),
        asyncio.create_task(_repeat(MINUTE, HOUR, partial(life.run, house))),
        asyncio.create_task(_repeat(MINUTE, MINUTE, partial(telling.run, house))),
        asyncio.create_task(_repeat(MINUTE, MINUTE, partial(let_go, house))),
    ]
    if multiprocessing.parent_process() is not None:
        tasks.append(asyncio.create_task(_end_with_supervisor()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _safely(anchor.close_minute)


async def sweep(house: House, older_than: float = HOUR) -> int:
    """Destroy bodies no commit refers to in the dossiers open here, and expired values.

    Args:
        house: whose open dossiers are swept; also those of the system.
        older_than: seconds; a younger body may still get its commit.
    """
    clients = [SYSTEM, *house.parts.dossiers.open_clients]
    return sum([await house.store.sweep(client, older_than) for client in clients])


async def let_go(house: House) -> None:
    """Keep nothing in memory of dossiers that were erased, by whatever process."""
    for client in house.parts.dossiers.open_clients:
        try:
            await house.keys.data(client)
        except NotFound:
            house.parts.dossiers.let_go(client)


async def _sweep(house: House) -> None:
    structlog.get_logger().info("swept", count=await sweep(house))


async def _repeat(first: float, seconds: float, work: Work) -> None:
    await asyncio.sleep(first)
    while True:
        await _safely(work)
        await asyncio.sleep(seconds)


async def _safely(work: Work) -> None:
    """Do it; what goes wrong is an incident in the log, and it is tried again the next time."""
    try:
        await work()
    except Exception as fault:  # noqa: BLE001 - nothing that fails here may end the server
        report(fault)


async def _end_with_supervisor() -> None:
    """Stop as if told to, so that no worker is left behind holding the port."""
    supervisor = multiprocessing.parent_process()
    while supervisor is not None and supervisor.is_alive():  # noqa: ASYNC110 - of another process
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
