"""A server of the tests that does not get ready in time is ended: no process of it stays."""

from __future__ import annotations

import os
import socket

import pytest

from .conftest import Served, free_port


def test_a_server_that_is_not_ready_in_time_is_ended_by_its_own_pid(tmp_path):
    """Nobody listens at the address that is asked, so the wait runs out."""
    environment = os.environ | {
        "PGO_STORE": f"sqlite:///{tmp_path}/pgo.db",
        "PGO_KEY_FILE": str(tmp_path / "pgo.key"),
        "PGO_PORT": str(free_port()),
        "PGO_DEVELOPMENT_LOGIN": "true",
    }
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        served = Served(url, environment, tmp_path, patience=0.2)
        with pytest.raises(AssertionError):
            served.serve()
    assert served.process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(served.process.pid, 0)
