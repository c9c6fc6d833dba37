"""fhir-kit-client as it is, in Node, against a real server with a real token."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.long


def test_fhir_kit_client_does_all_it_can(node, record):
    seen = json.loads(node("clients/fhir_kit.mjs", record.fhir, record.token))
    oauth = f"{record.server}/oauth"
    assert seen == {
        "capability": ["CapabilityStatement", "4.0.1"],
        "signIn": [f"{oauth}/authorize", f"{oauth}/token"],
        "family": "Berg",
        "created": [201, 'W/"1"', "Observation", "1"],
        "statuses": ["final", "amended", "corrected"],
        "late": "412 conflict",
        "history": ["PUT corrected", "PUT amended", "POST final"],
        "typeHistory": 3,
        "systemHistory": 4,
        "once": ["201 2026-03-02", "200 2026-03-02"],
        "meant": ["2", "2026-03-04"],
        "pages": ["98", "76", "51"],
        "posted": ["Observation match", "Observation match", "Patient include"],
        "either": 2,
        "transaction": ["201", "201"],
        "batch": ["200", "404"],
        "resolved": "Condition",
        "lastn": "9",
        "everything": ["Condition", "Observation", "Patient"],
        "validate": "error",
        "gone": "410 deleted",
        "wrong": "422 code-invalid Observation.status",
        "unknown": "400 not-supported zzz",
        "stranger": "401",
        "xml": ["application/fhir+xml", True],
    }
