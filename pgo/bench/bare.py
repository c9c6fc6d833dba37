"""The yardstick: a FastAPI application whose routes return bytes they hold, and do nothing else.

Run as `python -m pgo.bench.bare FOLDER`, with PGO_PORT as for the server: every file in the folder
is one answer. It runs under uvicorn with the very options of the server.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response

from pgo.framework import TELEMETRY
from pgo.limits import serve_options
from pgo.settings import load

_MEDIA = "application/fhir+json; charset=utf-8"


def bare(folder: Path) -> FastAPI:
    """An application with a route for each file: its name is the path."""
    app = FastAPI(telemetry=TELEMETRY, docs_url=None, redoc_url=None)
    for file in sorted(folder.iterdir()):
        _add(app, f"/{file.name}", file.read_bytes())
    return app


def _add(app: FastAPI, path: str, body: bytes) -> None:
    @app.get(path)
    async def answer() -> Response:
        return Response(body, media_type=_MEDIA)


def main() -> None:
    """Serve until ended."""
    uvicorn.run(bare(Path(sys.argv[1])), loop="uvloop", **serve_options(load()))


if __name__ == "__main__":
    main()
