"""pgo account code, link, unlink, sign-out; and what is wrong with the settings of signing in."""

from __future__ import annotations

import orjson
import pytest
from joserfc.jwk import ECKey

PROVIDER = {
    "label": "DigiD", "issuer": "https://makelaar.example", "client_id": "pgo", "secret": "geheim",
    "acr": {"urn:midden": "substantieel"},
}  # fmt: skip


@pytest.fixture
def providers(monkeypatch):
    """Sets one provider, with changes; None takes a member away."""

    def set_to(name="digid", **changes):
        told = {key: value for key, value in (PROVIDER | changes).items() if value is not None}
        monkeypatch.setenv("PGO_PROVIDERS", orjson.dumps({name: told}).decode())

    return set_to


@pytest.fixture
def mia(pgo):
    pgo("account", "add", "p-mia", "--name", "Mia")


def test_a_code_for_an_account_is_made_anew_each_time(pgo, mia):
    codes = {pgo("account", "code", "p-mia", "--json").json["code"] for _ in range(3)}
    assert len(codes) == 3
    assert all(len(code) == 35 for code in codes)


def test_a_pseudonym_is_of_one_account_until_it_is_unlinked(pgo, mia, providers):
    providers()
    pgo("account", "add", "p-tom", "--name", "Tom")
    link = ("--provider", "digid", "--subject", "pseudo-1", "--json")
    assert pgo("account", "link", "p-mia", *link).json == {"account": "p-mia", "provider": "digid"}
    taken = pgo("account", "link", "p-tom", *link)
    assert taken.code == 1
    assert "linked already" in taken.err
    assert "pseudo-1" not in taken.err
    unlinked = pgo("account", "unlink", "p-mia", "--provider", "digid", "--json").json
    assert unlinked == {"account": "p-mia", "unlinked": "1"}
    assert pgo("account", "link", "p-tom", *link).code == 0


def test_signing_out_ends_tokens_of_an_account(pgo, dossier, ask):
    client = dossier()
    arguments = ("token", "--dossier", client, "--scope", "patient/*.rs", "--json")
    token = pgo(*arguments).json["access_token"]
    assert pgo("account", "sign-out", "p-jo").code == 0
    assert ask("/fhir/r4/Patient/p1", token).status_code == 401


def test_what_an_operator_changed_in_how_somebody_signs_in_is_told_to_him(
    pgo, providers, dossier, ask
):
    """Jo, who is told in the messages an app shows; what was refused is no news."""
    providers()
    client = dossier()
    pgo("account", "add", "p-tom", "--name", "Tom")
    link = ("--provider", "digid", "--subject", "pseudo-1")
    assert pgo("account", "link", "p-jo", *link).code == 0
    assert pgo("account", "link", "p-tom", *link).code == 1
    assert pgo("account", "unlink", "p-tom", "--provider", "digid").code == 0
    assert pgo("account", "unlink", "p-jo", "--provider", "digid").code == 0
    assert pgo("account", "sign-out", "p-jo").code == 0

    def told_to(person):
        arguments = ("--dossier", client, "--as", person, "--scope", "user/*.rs", "--json")
        token = pgo("token", *arguments).json["access_token"]
        return [one["tekst"] for one in ask("/mijn/berichten", token).json()["account"]]

    assert [told_to("p-jo"), told_to("p-tom")] == [
        [
            "Er is overal uitgelogd.",
            "Inloggen met DigiD kan niet meer.",
            "Inloggen met DigiD kan nu ook.",
        ],
        [],
    ]


@pytest.mark.parametrize("subject", ["999990019", "S00000000:999990019", "", "x" * 256])
def test_what_is_no_pseudonym_is_not_linked(pgo, mia, providers, subject):
    providers()
    said = pgo("account", "link", "p-mia", "--provider", "digid", "--subject", subject)
    assert said.code == 1
    assert "no pseudonym" in said.err
    assert "999990019" not in said.err


@pytest.mark.parametrize("command", ["code", "link", "sign-out"])
def test_nobody_gets_in_as_somebody_who_is_not_there(pgo, providers, command):
    providers()
    more = ("--provider", "digid", "--subject", "x") if command == "link" else ()
    said = pgo("account", command, "niemand", *more)
    assert said.code == 1
    assert "ID" in said.err


def test_under_strict_a_second_operator_approves_a_code_for_an_account(strict, dossier):
    dossier(strict)
    alone = strict("account", "code", "p-jo", "--operator", "ria", "--json")
    assert alone.code == 1
    assert "pgo approve --for account-code" in alone.err
    approval = strict(
        *("approve", "--dossier", "p-jo", "--for", "account-code", "--operator", "bas"),
        *("--reason", "nieuwe telefoon, gezien aan de balie", "--json"),
    ).json["approval"]
    use = ("account", "code", "p-jo", "--operator", "ria", "--approval", approval, "--json")
    assert strict(*use).json["account"] == "p-jo"
    assert strict(*use).code == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": "http://makelaar.example"}, "give an https address"),
        ({"issuer": "http://127.0.0.1:9"}, "give an https address"),
        ({"secret": None}, "give one of secret, secret_file and key_file"),
        ({"secret_file": "x"}, "give one of secret, secret_file and key_file"),
        ({"secret": None, "secret_file": "nergens"}, "its secret_file cannot be read"),
        ({"secret": None, "key_file": "nergens"}, "its key_file is no readable JWK"),
        ({"name": "passkey"}, "none of ours"),
        ({"name": "Digi-D"}, "small letters"),
        ({"acr": {}}, "PGO_PROVIDERS"),
        ({"acr": {"x": "heel hoog"}}, "PGO_PROVIDERS"),
        ({"algorithms": ["none"]}, "PGO_PROVIDERS"),
        ({"algorithms": ["HS256"]}, "PGO_PROVIDERS"),
        ({"zomaar": "x"}, "PGO_PROVIDERS"),
    ],
    ids=str,
)
def test_a_provider_that_cannot_be_used_stops_the_start(pgo, providers, changes, told):
    providers(**changes)
    said = pgo("account", "list")
    assert said.code == 2
    assert told in said.err
    assert "geheim" not in said.err


def test_a_provider_stands_in_the_file_with_its_secret_in_another(
    pgo, mia, file, monkeypatch, tmp_path
):
    key = ECKey.generate_key("P-256", {"kid": "ours"}, private=True)
    secret, jwk = file("secret", "geheim\n"), file("key.json", key.as_dict(private=True))
    config = file(
        "pgo.toml",
        f"""
        [providers.digid]
        label = "DigiD"
        issuer = "https://makelaar.example"
        client_id = "pgo"
        secret_file = "{secret}"
        acr = {{ "urn:midden" = "substantieel", "urn:hoog" = "hoog" }}

        [providers.ander]
        label = "Anders"
        issuer = "https://anders.example"
        client_id = "pgo"
        key_file = "{jwk}"
        acr = {{ "loa2" = "laag" }}
        """,
    )
    monkeypatch.setenv("PGO_CONFIG", str(config))
    for name in ("digid", "ander"):
        said = pgo("account", "link", "p-mia", "--provider", name, "--subject", "pseudo-1")
        assert said.code == 0, said.err
