"""`pgo dossier reindex`: an index can always be made anew from the texts."""

from __future__ import annotations

import json

PATIENT = {"resourceType": "Patient", "id": "p1"}
PRESSURE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"text": "Bloeddruk"},
    "subject": {"reference": "Patient/p1"},
    "note": [{"text": "gemeten in de wachtkamer"}],
}


def filled(pgo, tmp_path):
    client = pgo("dossier", "create", "--json").json["dossier"]
    file = tmp_path / "o.ndjson"
    file.write_text("\n".join(json.dumps(one) for one in (PATIENT, PRESSURE)))
    assert pgo("import", "--dossier", client, "--release", "r4", file).code == 0
    return client


def test_every_resource_is_indexed_anew_and_the_image_kept(pgo, tmp_path):
    client = filled(pgo, tmp_path)
    assert pgo("dossier", "reindex", "--json").json == [{"dossier": client, "resources": 2}]
    again = pgo("dossier", "reindex", "--dossier", client, "--json").json
    assert again == [{"dossier": client, "resources": 2}]


def test_it_is_written_down(pgo, tmp_path):
    client = filled(pgo, tmp_path)
    lines = [pgo("audit", "verify", "--dossier", client, "--json").json[0]["lines"]]
    pgo("dossier", "reindex", "--dossier", client)
    lines.append(pgo("audit", "verify", "--dossier", client, "--json").json[0]["lines"])
    assert lines[1] == lines[0] + 1


def test_a_dossier_that_is_not_there_is_named(pgo, tmp_path):
    filled(pgo, tmp_path)
    said = pgo("dossier", "reindex", "--dossier", "0" * 32)
    assert (said.code, said.out) == (1, "")
    assert "there is no such dossier" in said.err


def test_no_text_of_the_index_is_on_disk(pgo, tmp_path):
    filled(pgo, tmp_path)
    pgo("dossier", "reindex")
    for file in (tmp_path / "data").iterdir():
        assert b"wachtkamer" not in file.read_bytes()
