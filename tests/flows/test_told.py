"""Told that there is something new, as decided when it is sent; never what."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy

import httpx2
import orjson
import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pgo import life, stopped, telling, webhook
from pgo.app import build
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Unavailable
from pgo.oauth.means import AllMeans
from pgo.oauth.news import CODES, OUT, PASSKEY
from pgo.oauth.tokens import generation_of
from pgo.office import Office
from pgo.plain.notices import KINDS, sentence
from pgo.registry import Account, App

GRANTS = "/toestemmingen"
SECRET_WORD = "kaliumgehalte"


def observation(inside) -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory"}]}],
        "code": {"text": SECRET_WORD},
        "subject": {"reference": f"Patient/{inside.anna.patient}"},
        "effectiveDateTime": "2026-03-01",
        "valueString": SECRET_WORD,
    }  # fmt: skip


async def result(inside, name="anna") -> None:
    answer = await inside.call(name, "POST", "/fhir/r4/Observation", json=observation(inside))
    assert answer.status_code == 201, answer.text


async def made(inside, name, **given):
    answer = await inside.call(name, "POST", GRANTS, json=given)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def news(inside, name, **more) -> list[tuple[str, int]]:
    answer = await inside.call(name, "GET", "/berichten", **more)
    assert answer.status_code == 200, answer.text
    return [(one["soort"], one["aantal"]) for one in answer.json()["berichten"]]


async def put(inside, *rules: Rule) -> None:
    await Office(inside.house, inside.anna.dossier, "test").set_rules(rules, "test")


# --- the list ------------------------------------------------------------------------------------


async def test_only_who_may_read_results_is_told_of_a_result(inside):
    await made(inside, "anna", effect="permit", to_who="sam-x", categories=["uitslagen"])
    await made(inside, "anna", effect="permit", to_who="nina-x", categories=["afspraken"])
    await result(inside)
    await result(inside)
    assert await news(inside, "sam") == [("uitslagen", 2)]
    assert await news(inside, "nina") == []
    assert ("uitslagen", 2) not in await news(inside, "anna")
    assert ("toegang", 1) in await news(inside, "anna")
    assert (await inside.call("lea", "GET", "/berichten")).status_code == 404


async def test_refused_attempts_and_requests_are_told_to_who_represents(inside):
    await inside.call("lea", "GET", "/fhir/r4/Observation")
    await inside.call("lea", "GET", "/fhir/r4/Observation")
    assert await news(inside, "anna") == [("geweigerd", 2)]
    assert ("geweigerd", 2) in await news(inside, "mo")
    inside.later(days=40)
    assert await news(inside, "anna") == []


async def test_who_used_an_app_that_was_stopped_is_told_and_nobody_else(inside):
    for dossier in (inside.anna.dossier, ""):
        for _ in range(2):
            await stopped.tell(inside.house, "mo-x", dossier, f"family of {dossier}")
    await stopped.tell(inside.house, "lea-x", "0" * 32, "of a dossier that is not there")
    await stopped.tell(inside.house, "lea-x", "", "of no dossier at all")
    assert [one for one in await news(inside, "mo") if one[0] == "app"] == [("app", 1)] * 2
    assert ("app", 1) not in await news(inside, "anna")


async def test_a_refresh_token_that_comes_twice_is_told_to_whose_it_was(inside):
    house, tokens = inside.house, inside.house.tokens
    scope = ("user/*.rs", "offline_access")
    await house.registry.keep_app(App("app", "De app", ("https://app.example/cb",), scopes=scope))
    issued = await tokens.issue_operator(
        house.registry, dossier=inside.anna.dossier, person="mo-x", scope=scope
    )
    generation = generation_of(
        await house.registry.app("app"), await house.registry.account("mo-x")
    )
    given = replace(issued.grant, app="app", until=0, generation=generation)
    grant = await tokens.redeem(await tokens.code(given))
    text = (await tokens.issue(grant, refresh=grant)).refresh
    form = {"grant_type": "refresh_token", "refresh_token": text, "client_id": "app"}
    answers = [await inside.http.post("/oauth/token", data=form) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 400, 400]
    assert [one for one in await news(inside, "mo") if one[0] == "app"] == [("app", 1)]
    entries = [entry async for entry in house.trail.read("system") if entry.note == "reuse"]
    assert [(one.person, one.app, one.outcome) for one in entries] == [("mo-x", "app", 4)]


async def test_my_messages_are_those_of_all_my_dossiers(inside):
    await made(inside, "anna", effect="permit", to_who="sam-x", categories=["uitslagen"])
    await result(inside)
    issued = await inside.house.tokens.issue_operator(
        inside.house.registry, dossier=inside.anna.dossier, person="sam-x", scope=("user/*.rs",)
    )
    answer = await inside.http.get(
        "/mijn/berichten?taal=eenvoudig", headers={"Authorization": f"Bearer {issued.access}"}
    )
    (one,) = answer.json()["dossiers"]
    assert one["naam"] == "Anna Berg"
    assert [each["tekst"] for each in one["berichten"]] == ["Nieuwe uitslag."]


def test_every_sentence_is_short_and_says_something():
    for kind in KINDS:
        for what in ("wordt-18", "einde-programma") if kind == "levensloop" else ("",):
            for easy in (False, True):
                text = sentence(kind, 3, what, "2026-08-30T22:00:00.000Z", easy=easy)
                assert "{" not in text
                assert all(0 < len(part.split()) <= 12 for part in text.rstrip(".").split(". "))
    assert "31 augustus 2026" in sentence("levensloop", 1, "wordt-18", "2026-08-30T22:00:00Z")


async def test_an_emergency_opens_no_list_of_what_is_new(inside):
    await result(inside)
    head = await inside.token("noor-x")
    head |= {"x-noodtoegang": 'code=BTG; reason="bewusteloos op straat gevonden"'}
    answer = await inside.http.get(f"/dossiers/{inside.anna.dossier}/berichten", headers=head)
    assert answer.status_code == 404


async def test_a_small_mandate_is_told_of_emergencies_and_not_of_who_has_access(inside):
    small = {"person": "sam-x", "client": "anna-x", "kind": "gemachtigde", "verified": "volmacht"}
    await put(inside, Rule("relation", "r-sam", small))
    await made(inside, "anna", preset="meelezen", to_who="nina-x")
    assert await news(inside, "sam") == []
    head = await inside.token("noor-x")
    head |= {"x-noodtoegang": 'code=BTG; reason="bewusteloos op straat gevonden"'}
    url = f"/dossiers/{inside.anna.dossier}/fhir/r4/AllergyIntolerance"
    assert (await inside.http.get(url, headers=head)).status_code == 200
    assert await news(inside, "sam") == [("noodtoegang", 1)]


# --- life events ---------------------------------------------------------------------------------


async def test_a_birthday_is_announced_once_however_many_run_it_and_rights_do_not_wait(inside):
    anna = inside.anna.person("anna")
    subject = {"person": anna, "name": "Anna Berg", "birth": "2008-08-31", "wilsonbekwaam": True}
    parent = {"person": "sam-x", "client": anna, "kind": "ouder", "gezag": True}
    mentor = {"person": "mo-x", "client": anna, "kind": "familie", "as": "broer"}
    await put(
        inside,
        Rule("subject", "client", subject),
        Rule("relation", "r-sam", parent),
        Rule("relation", "r-mo", mentor),
    )
    given = await made(inside, "sam", preset="meelezen", to_who="nina-x")
    assert await life.run(inside.house, alone=False) == 1
    inside.now = datetime(2026, 9, 2, tzinfo=UTC)
    assert (await inside.call("sam", "GET", GRANTS)).status_code == 200
    runs = await asyncio.gather(*(life.run(inside.house, alone=False) for _ in range(4)))
    assert sum(runs) == 1
    assert await life.run(inside.house, alone=False) == 0
    answer = (await inside.call("sam", "GET", "/berichten")).json()
    (told,) = [one for one in answer["berichten"] if one["soort"] == "levensloop"]
    assert "Het gezag van ouders is gestopt" in told["tekst"]
    assert (await inside.call("nina", "GET", "/berichten")).status_code == 200
    assert given["status"] == "active"


async def test_when_somebody_has_a_birthday_is_not_readable_on_disk(inside):
    await life.run(inside.house, alone=False)
    (kept,) = (await inside.house.store.listing("life")).values()
    for word in (b"until", b"next", b"{"):
        assert not kept.startswith(word)
    assert b'"next"' not in kept


async def test_grants_of_who_no_longer_represents_are_listed_to_look_at_again(inside):
    given = await made(inside, "mo", preset="meelezen", to_who="nina-x")
    inside.later(minutes=1)
    await inside.call("anna", "POST", "/relaties/r-mo/beeindigen")
    again = (await inside.call("anna", "GET", "/berichten")).json()["opnieuw_kijken"]
    assert again == [given["id"]]
    assert (await inside.call("nina", "GET", "/berichten")).json()["opnieuw_kijken"] == []


# --- mail and webhook ----------------------------------------------------------------------------


class Mailbox:
    """A mail server's side of what it took; says no while `closed`."""

    def __init__(self):
        self.taken, self.closed = [], False

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.closed:
            return "451 not now"
        self.taken.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def mailbox():
    """A real mail server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    box.port = port
    yield box
    server.stop()


@pytest.fixture
async def hook(tmp_path):
    """A real HTTPS server that keeps what it got and answers `status`."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]
    )  # fmt: skip
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made_ = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    roots, own = tmp_path / "roots.pem", tmp_path / "own.pem"
    roots.write_bytes(made_.public_bytes(pem))
    own.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made_.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    got = Hook()

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(re.search(rb"Content-Length: (\d+)", head)[1])
        got.calls.append((head.decode(), await reader.readexactly(size)))
        more = b"Location: https://169.254.169.254/\r\n" if got.status == 302 else b""
        writer.write(b"HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n" % (got.status, more))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    got.port, got.roots = server.sockets[0].getsockname()[1], roots
    yield got
    server.close()


class Hook:
    """What a webhook got."""

    def __init__(self):
        self.calls, self.status, self.port, self.roots = [], 204, 0, None


@pytest.fixture
async def telling_house(inside, mailbox, hook):
    """The same store behind a server that mails and calls; its house and HTTP client."""
    chosen = {
        "smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_tls": "none",
        "mail_from": "pgo@pgo.example", "webhook_hosts": f"localhost:{hook.port}",
        "webhook_private": True, "webhook_roots": hook.roots,
    }  # fmt: skip
    settings = inside.house.settings.model_copy(update=chosen)
    server = build(settings, store=inside.house.store, clock=lambda: inside.now)
    house = await server.start()
    transport = httpx2.ASGITransport(app=server)
    async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
        yield house, http
    await server.stop()


async def wish(inside, http, name, method="PUT", path="/mijn/meldingen", **sent):
    headers = await inside.token(inside.anna.person(name))
    return await http.request(method, path, headers=headers, json=sent)


async def test_mail_says_that_there_is_something_and_never_what(inside, telling_house, mailbox):
    house, http = telling_house
    await made(inside, "anna", effect="permit", to_who="sam-x", categories=["uitslagen"])
    answer = await wish(inside, http, "sam", email="sam@mail.example")
    shown = {"email": "", "webhook": "", "uit": [], "taal": "nl"}
    assert answer.json() == shown | {"te_bevestigen": True}
    code = re.search(r"in: ([0-9a-f]{8})", mailbox.taken.pop()[1])[1]
    confirm = {"path": "/mijn/meldingen/bevestigen", "method": "POST"}
    assert (await wish(inside, http, "nina", **confirm, code=code)).status_code == 400
    assert (await wish(inside, http, "sam", **confirm, code=code)).status_code == 200
    assert await telling.run(house, alone=False) == 0
    await result(inside)
    assert await telling.run(house, alone=False) == 1
    assert await telling.run(house, alone=False) == 0
    ((to, text),) = mailbox.taken
    assert to == ["sam@mail.example"]
    assert "Er is iets nieuws" in text
    for word in (SECRET_WORD, "Anna", "Berg", "itslag", "Observation", inside.anna.dossier):
        assert word not in text


async def with_mail(inside, house, name):
    person = inside.anna.person(name)
    await telling.keep_wishes(house, telling.Wishes(person, email=f"{name}@mail.example"))
    await telling.begin(house, person)


async def test_who_may_not_read_any_more_when_it_is_sent_gets_nothing(
    inside, telling_house, mailbox
):
    house, _ = telling_house
    given = await made(inside, "anna", effect="permit", to_who="sam-x", categories=["uitslagen"])
    await with_mail(inside, house, "sam")
    await result(inside)
    await inside.call("anna", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert await telling.run(house, alone=False) == 0
    assert mailbox.taken == []
    looked = (await inside.call("anna", "GET", "/$wie-keek")).json()["zinnen"]
    assert [one for one in looked if one["geweigerd"] and one["persoon"] == "sam-x"] == []


async def test_what_is_not_urgent_is_told_together_and_urgent_things_at_once(
    inside, telling_house, mailbox
):
    house, _ = telling_house
    await with_mail(inside, house, "mo")
    await result(inside)
    assert await telling.run(house, alone=False) == 1
    inside.later(minutes=5)
    await result(inside)
    await result(inside)
    assert await telling.run(house, alone=False) == 0
    inside.later(minutes=60)
    assert await telling.run(house, alone=False) == 1
    await result(inside)
    assert await telling.run(house, alone=False) == 0
    head = await inside.token("noor-x")
    issued = {"x-noodtoegang": 'code=BTG; reason="bewusteloos op straat gevonden"'}
    url = f"/dossiers/{inside.anna.dossier}/fhir/r4/AllergyIntolerance"
    answer = await inside.http.get(url, headers=head | issued)
    assert answer.status_code == 200, answer.text
    assert await telling.run(house, alone=False) == 1
    assert "Kijk vandaag" in mailbox.taken[-1][1]
    assert len(mailbox.taken) == 3


async def test_a_kind_can_be_switched_off_but_not_access_or_emergency(
    inside, telling_house, mailbox
):
    house, http = telling_house
    for kind, status in (
        ("uitslagen", 200),
        ("toegang", 400),
        ("noodtoegang", 400),
        ("app", 400),
        ("inloggen", 400),
        ("x", 400),
    ):
        answer = await wish(inside, http, "mo", uit=[kind])
        assert answer.status_code == status, kind
        assert status == 200 or answer.json()["errors"][0]["place"] == "uit[0]"
    wishes = await telling.wishes_of(house, "mo-x")
    assert wishes.off == ("uitslagen",)
    await telling.keep_wishes(house, telling.Wishes("mo-x", email="mo@m.example", off=wishes.off))
    await telling.begin(house, "mo-x")
    await result(inside)
    assert await telling.run(house, alone=False) == 0
    await made(inside, "anna", preset="meelezen", to_who="sam-x")
    assert await telling.run(house, alone=False) == 1


async def test_what_was_not_taken_is_tried_again_later_and_not_lost(inside, telling_house, mailbox):
    house, _ = telling_house
    await with_mail(inside, house, "mo")
    await result(inside)
    mailbox.closed = True
    assert await telling.run(house, alone=False) == 0
    mailbox.closed = False
    assert await telling.run(house, alone=False) == 0
    inside.later(minutes=1)
    assert await telling.run(house, alone=False) == 1
    assert len(mailbox.taken) == 1


async def test_whom_we_told_of_which_dossier_is_not_readable_on_disk(
    inside, telling_house, mailbox
):
    """What is left of it after a dossier was erased names nobody, and opens with our key only."""
    house, _ = telling_house
    await with_mail(inside, house, "mo")
    await result(inside)
    assert await telling.run(house, alone=False) == 1
    ((key, value),) = (await house.store.listing("gemeld")).items()
    assert "mo" not in key.split("-")
    assert inside.anna.dossier not in key
    assert re.fullmatch(r"[0-9a-f]{32}", key)
    assert b"sent" not in value
    assert await telling.run(house, alone=False) == 0, "and we still know that he was told"
    assert len(mailbox.taken) == 1


async def test_what_came_while_there_was_no_mail_is_told_when_there_is(
    inside, telling_house, mailbox
):
    house, _ = telling_house
    await with_mail(inside, house, "mo")
    await result(inside)
    assert await telling.run(inside.house, alone=False) == 0, "this one has no mail server"
    assert await telling.run(house, alone=False) == 1
    assert len(mailbox.taken) == 1


async def dying(house, monkeypatch):
    """A round that sends, and dies before it wrote down that it did."""
    register = house.store.register

    async def dies(kind, *rest, **more):
        if kind == "gemeld":
            raise KeyboardInterrupt
        return await register(kind, *rest, **more)

    monkeypatch.setattr(house.store, "register", dies)
    with pytest.raises(KeyboardInterrupt):
        await telling.run(house, alone=False)
    monkeypatch.undo()


async def test_a_process_that_dies_before_it_wrote_down_what_it_sent_sends_again(
    inside, telling_house, mailbox, monkeypatch
):
    house, _ = telling_house
    await with_mail(inside, house, "mo")
    await result(inside)
    await dying(house, monkeypatch)
    assert await telling.run(house, alone=False) == 1
    assert len(mailbox.taken) == 2


async def test_a_webhook_is_signed_and_holds_nothing_about_health(inside, telling_house, hook):
    house, http = telling_house
    url = f"https://localhost:{hook.port}/nieuws?van=pgo"
    answer = await wish(inside, http, "mo", webhook=url)
    secret = answer.json()["geheim"]
    assert "geheim" not in (await wish(inside, http, "mo", webhook=url)).json()
    await result(inside)
    assert await telling.run(house, alone=False) == 1
    ((head, body),) = hook.calls
    stamp, mac = re.search(r"X-PGO-Signature: t=(\d+),v1=([0-9a-f]{64})", head).groups()
    signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(mac, signed)
    told = orjson.loads(body)
    assert told == {"type": "nieuw", "person": "mo-x", "dossier": inside.anna.dossier,
                    "urgent": False, "access": False, "at": int(stamp)}  # fmt: skip
    hook.status = 302
    inside.later(hours=2)
    await result(inside)
    assert await telling.run(house, alone=False) == 0
    assert len(hook.calls) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/x", "https://app.example@evil.example/x", "https://evil.example/x",
        "https://app.example.evil.example/", "https://app.example:444/", "https://app.example/#a",
        "ftp://app.example/", "https://", "https://app.example/a b", "https://app.example:99999/",
        "https://app.example/\r\nHost: x",
    ],
)  # fmt: skip
def test_only_addresses_an_operator_allowed_are_called(url):
    with pytest.raises(BadValue):
        webhook.place_of(url, webhook.Allowed(frozenset({"app.example"})))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "0.0.0.0",  # noqa: S104 - an address nobody may be told to call
        "100.64.0.1",
    ],
)
async def test_a_private_address_is_never_called(host):
    allowed = webhook.Allowed(frozenset({host}))
    place = webhook.place_of(f"https://{host}/", allowed)
    with pytest.raises(Unavailable):
        await webhook.post(place, allowed, b"{}", "t=1")


@pytest.mark.parametrize(
    "address", ["::1", "::ffff:10.0.0.1", "2002:7f00:1::", "fe80::1%eth0", "fc00::1", "224.0.0.1"]
)
def test_an_address_that_hides_a_private_one_is_private(address):
    assert not webhook._public(address)
    assert webhook._public("93.184.216.34")


# --- how somebody signs in ------------------------------------------------------------------------


async def changed(house, kind=PASSKEY, what="", person="solo-x") -> None:
    """Something changed in how this person, who has no dossier at all, signs in."""
    now = int(house.clock().timestamp())
    if await house.registry.account(person) is None:
        await house.registry.keep_account(Account(person, "Solo", birth="1980-05-01"))
    means = AllMeans(house.store, house.registry_box)
    await means.change(person, lambda mine: mine.telling(kind, now, what))


async def by_mail(house, person="solo-x", **more) -> None:
    given = telling.Wishes(person, email="solo@mail.example", **more)
    await telling.keep_wishes(house, given)


def text_of(mail) -> str:
    """What a person reads of a mail."""
    return message_from_string(mail[1], policy=policy.default).get_content()


async def test_who_has_no_dossier_is_mailed_what_changed_in_how_he_signs_in(telling_house, mailbox):
    house, _ = telling_house
    await by_mail(house)
    await changed(house)
    assert await telling.run(house, alone=False) == 1
    assert await telling.run(house, alone=False) == 0
    (mail,) = mailbox.taken
    assert mail[0] == ["solo@mail.example"]
    assert "Er is een toegangssleutel bij gekomen." in text_of(mail)
    assert f"{house.settings.issuer}/oauth/sessions" in text_of(mail)
    for word in ("solo-x", "Solo", "Anna", "dossier"):
        assert word not in mail[1].replace("solo@mail", "").replace("Mijn dossier", "")
    lines = [one async for one in house.trail.read("system") if one.note == "sign-in news"]
    assert [(one.interaction, one.person) for one in lines] == [("account", "solo-x")]


@pytest.mark.parametrize(
    ("tongue", "said"),
    [
        ("nl", "Er is een toegangssleutel bij gekomen."),
        ("nl-eenvoudig", "Er is een nieuwe sleutel."),
        ("en", "A passkey was added."),
        ("en-eenvoudig", "There is a new key."),
        ("fy", "Er is een toegangssleutel bij gekomen."),
    ],
)
async def test_that_mail_is_in_the_words_somebody_chose(telling_house, mailbox, tongue, said):
    house, _ = telling_house
    await by_mail(house, tongue=tongue)
    await changed(house)
    assert await telling.run(house, alone=False) == 1
    assert said in text_of(mailbox.taken[0])


async def test_whatever_is_done_there_is_one_such_mail_in_an_hour(inside, telling_house, mailbox):
    house, _ = telling_house
    await by_mail(house)
    await changed(house)
    assert await telling.run(house, alone=False) == 1
    for minute in range(30):
        for kind in (CODES, PASSKEY, OUT):
            await changed(house, kind)
        inside.later(minutes=1)
        assert await telling.run(house, alone=False) == 0, minute
    inside.later(minutes=31)
    assert await telling.run(house, alone=False) == 1
    told = text_of(mailbox.taken[-1])
    assert "nieuwe herstelcodes gemaakt. (30 keer)" in told
    assert "overal uitgelogd. (30 keer)" in told
    assert await telling.run(house, alone=False) == 0
    assert len(mailbox.taken) == 2


async def test_a_new_address_or_webhook_does_not_open_the_tap_again(inside, telling_house, mailbox):
    house, http = telling_house
    await by_mail(house, "mo-x")
    await changed(house, person="mo-x")
    assert await telling.run(house, alone=False) == 1
    await changed(house, CODES, person="mo-x")
    for email in ("a@mail.example", "b@mail.example", ""):
        await wish(inside, http, "mo", email=email)
    await telling.begin(house, "mo-x")
    await by_mail(house, "mo-x")
    assert await telling.run(house, alone=False) == 0
    inside.later(minutes=61)
    assert await telling.run(house, alone=False) == 1


async def test_the_address_somebody_had_is_told_before_another_takes_its_place(
    inside, telling_house, mailbox
):
    """Who got in and adds a key cannot keep that from its owner by taking the address away."""
    house, http = telling_house
    await by_mail(house, "mo-x")
    await changed(house, person="mo-x")
    assert (await wish(inside, http, "mo")).json()["email"] == ""
    ((to, _),) = mailbox.taken
    assert to == ["solo@mail.example"]


async def test_such_mail_that_was_not_taken_is_tried_again(inside, telling_house, mailbox):
    house, _ = telling_house
    await by_mail(house)
    await changed(house)
    mailbox.closed = True
    assert await telling.run(house, alone=False) == 0
    mailbox.closed = False
    inside.later(minutes=1)
    assert await telling.run(house, alone=False) == 1


async def test_a_process_that_dies_after_such_mail_was_taken_sends_it_again(
    telling_house, mailbox, monkeypatch
):
    house, _ = telling_house
    await by_mail(house)
    await changed(house)
    await dying(house, monkeypatch)
    assert await telling.run(house, alone=False) == 1
    assert len(mailbox.taken) == 2


async def test_who_gave_no_address_or_is_disabled_gets_no_such_mail(telling_house, mailbox):
    house, _ = telling_house
    await changed(house)
    await telling.keep_wishes(house, telling.Wishes("solo-x"))
    assert await telling.run(house, alone=False) == 0
    await by_mail(house)
    await house.registry.change(Account, "solo-x", lambda one: replace(one, disabled=True))
    assert await telling.run(house, alone=False) == 0
    assert mailbox.taken == []


async def test_a_webhook_is_told_that_and_not_what_and_when_it_fails_brings_no_mail_again(
    inside, telling_house, mailbox, hook
):
    house, _ = telling_house
    url = f"https://localhost:{hook.port}/nieuws"
    await by_mail(house, webhook=url, secret="s")
    hook.status = 500
    await changed(house)
    assert await telling.run(house, alone=False) == 1
    inside.later(hours=2)
    assert await telling.run(house, alone=False) == 0
    ((_, body),) = hook.calls
    told = orjson.loads(body)
    assert told == {"type": "inloggen", "person": "solo-x", "dossier": "", "urgent": True,
                    "access": False, "at": told["at"]}  # fmt: skip
    assert len(mailbox.taken) == 1


async def test_it_is_in_his_own_messages_with_and_without_a_dossier(inside):
    house = inside.house
    for person in ("solo-x", "mo-x"):
        await changed(house, person=person)
        issued = await house.tokens.issue_operator(
            house.registry, dossier="", person=person, scope=("user/*.rs",)
        )
        head = {"Authorization": f"Bearer {issued.access}"}
        told = (await inside.http.get("/mijn/berichten", headers=head)).json()
        assert bool(told["dossiers"]) is (person == "mo-x")
        (one,) = told["account"]
        assert one["tekst"] == "Er is een toegangssleutel bij gekomen."
        assert (one["soort"], one["aantal"], one["dringend"]) == ("inloggen", 1, True)
        answer = await inside.http.get("/mijn/berichten?taal=eenvoudig", headers=head)
        assert answer.json()["account"][0]["tekst"] == "Er is een nieuwe sleutel."
    inside.later(days=31)
    assert (await inside.http.get("/mijn/berichten", headers=head)).status_code == 401
    head = await inside.token("mo-x")
    assert (await inside.http.get("/mijn/berichten", headers=head)).json()["account"] == []
    since = {"sinds": "2026-01-01"}
    answer = await inside.http.get("/mijn/berichten", headers=head, params=since)
    assert len(answer.json()["account"]) == 1


async def test_neither_somebody_else_nor_a_token_for_less_is_told(inside):
    house = inside.house
    await changed(house)
    for person, scope in (("anna-x", "user/*.rs"), ("solo-x", "user/Observation.rs")):
        issued = await house.tokens.issue_operator(
            house.registry, dossier="", person=person, scope=(scope,)
        )
        head = {"Authorization": f"Bearer {issued.access}"}
        told = (await inside.http.get("/mijn/berichten", headers=head)).json()
        assert told["account"] == []


async def test_neither_mail_nor_webhook_says_who_got_access_or_who_answered(
    inside, telling_house, mailbox, hook
):
    house, http = telling_house
    child = {"person": "anna-x", "name": "Anna Berg", "birth": "2013-01-01"}
    parent = {"person": "sam-x", "client": "anna-x", "kind": "ouder", "gezag": True}
    await put(
        inside,
        Rule("subject", "client", child),
        Rule("relation", "r-sam", parent | {"child_confirmed": "2025-02-01"}),
    )
    await with_mail(inside, house, "sam")
    await wish(inside, http, "anna", webhook=f"https://localhost:{hook.port}/nieuws")
    given = await made(inside, "sam", preset="meelezen", to_who="lea-x")
    (one,) = (await inside.call("anna", "GET", "/voorstellen")).json()["voorstellen"]
    path = f"/voorstellen/{given['id']}/instemmen"
    assert (await inside.call("anna", "POST", path, json={"precies": one["precies"]})).is_success
    assert await telling.run(house, alone=False) == 2
    assert "Kijk vandaag" in mailbox.taken[0][1]
    sent = [text for _, text in mailbox.taken] + [body.decode() for _, body in hook.calls]
    for word in ("Lea", "Berg", "Anna", "Sam", "kreeg", "voorstel", "zei", "medicijnen", "lea-x"):
        assert not [text for text in sent if word in text], word
