"""Passkeys and codes: with a device in software that makes and proves real keys."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pgo.oauth import passkeys, recovery
from pgo.rates import BEGUN, LOGIN, LOGIN_NETWORK, Rates
from pgo.registry import Account

LIMITS = {"sign-in": LOGIN, "sign-in-network": LOGIN_NETWORK}


async def with_key(people, device):
    """Mia, signed in at the provider, made a passkey on this device."""
    visitor = await people.signed_in()
    answer = await visitor.add_key(device)
    assert answer.headers["location"] == "passkeys", answer.text
    people.world.lines.clear()
    return visitor


@pytest.mark.parametrize("alg", [-7, -8, -257])
async def test_who_made_a_passkey_signs_in_with_it(people, device, alg):
    mine = device(alg=alg)
    await with_key(people, mine)
    visitor = people.visitor()
    answer = await visitor.with_key(mine)
    assert answer.headers["location"].startswith("consent?flow=")
    assert "Mia" in (await visitor.follow(answer)).text
    assert people.details == ["passkey"]
    session = await people.session_of(visitor)
    assert (session.person, session.level, session.way) == ("mia", "substantieel", "passkey")


async def test_the_page_for_passkeys_names_them_and_only_its_own_script_may_run(people, device):
    visitor = await with_key(people, device())
    page = await visitor.http.get("/oauth/passkeys")
    assert "Mijn telefoon" in page.text
    asked = json.loads(visitor.options(page))
    assert (asked["rp"]["name"], asked["user"]["name"]) == ("Mijn dossier", "Mia")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    script = await visitor.http.get("/oauth/passkey.js")
    assert script.headers["content-type"].startswith("text/javascript")
    other = await visitor.http.get("/oauth/sessions")
    assert "script-src" not in other.headers["content-security-policy"]
    assert "<script" not in other.text


WRONG = {
    "another challenge": {"challenge": "A" * 43},
    "another page of ours": {"type": "webauthn.create"},
    "another origin": {"origin": "https://pgo.example.evil.test"},
    "another host": {"host": "evil.test"},
    "another signature": {"key": ec.generate_private_key(ec.SECP256R1())},
    "an unknown key": {"id": "A" * 43},
    "another person's handle": {"handle": b"x" * 32},
    "a counter that stands still": {"count": 0},
}


@pytest.mark.parametrize("err", WRONG.values(), ids=WRONG)
async def test_no_proof_no_sign_in_and_always_the_same_answer(people, device, err):
    mine = device()
    await with_key(people, mine)
    await people.visitor().with_key(mine)
    people.world.lines.clear()
    visitor = people.visitor()
    answer = await visitor.with_key(mine, **err)
    assert answer.status_code == 403
    assert "Dit lukte niet" in answer.text
    assert visitor.session == ""
    assert people.details == ["passkey"]
    texts = re.sub(r'value="[^"]*"|data-options="[^"]*"|flow=[\w-]*', "", answer.text)
    unknown = await people.visitor().with_key(mine, id="B" * 43)
    assert re.sub(r'value="[^"]*"|data-options="[^"]*"|flow=[\w-]*', "", unknown.text) == texts


async def test_a_device_must_have_verified_its_user(people, device):
    mine = device()
    await with_key(people, mine)
    mine.verifies = False
    assert (await people.visitor().with_key(mine)).status_code == 403
    visitor = await people.signed_in()
    assert (await visitor.add_key(device(verifies=False))).status_code == 400


async def test_a_proof_is_good_once(people, device):
    mine = device(counts=False)
    await with_key(people, mine)
    visitor = people.visitor()
    page = await visitor.ask()
    link = re.search(r'href="(passkey\?[^"]*)"', page.text)[1]
    page = await visitor.http.get(f"/oauth/{link}")
    proof = mine.get(visitor.options(page))
    answers = await asyncio.gather(
        *(visitor.post("passkey", page, credential=proof) for _ in range(5))
    )
    assert sorted(one.status_code for one in answers) == [303, 403, 403, 403, 403]


async def test_a_proof_is_for_the_browser_that_was_asked(people, device):
    mine = device()
    await with_key(people, mine)
    attacker, victim = people.visitor(), people.visitor()
    theirs = await attacker.ask()
    page = await attacker.http.get(
        "/oauth/" + re.search(r'href="(passkey\?[^"]*)"', theirs.text)[1]
    )
    proof = mine.get(attacker.options(page))
    assert (await victim.post("passkey", page, credential=proof)).status_code == 403
    own = await victim.ask()
    own = await victim.http.get("/oauth/" + re.search(r'href="(passkey\?[^"]*)"', own.text)[1])
    assert (await victim.post("passkey", own, credential=proof)).status_code == 403


async def test_a_challenge_lives_five_minutes(people, device):
    mine = device()
    await with_key(people, mine)
    visitor = people.visitor()
    page = await visitor.ask()
    page = await visitor.http.get("/oauth/" + re.search(r'href="(passkey\?[^"]*)"', page.text)[1])
    proof = mine.get(visitor.options(page))
    people.world.clock.later(seconds=301)
    assert (await visitor.post("passkey", page, credential=proof)).status_code == 403


async def test_a_device_that_does_not_count_is_good_too(people, device):
    mine = device(counts=False)
    await with_key(people, mine)
    for _ in range(2):
        assert (await people.visitor().with_key(mine)).status_code == 303


async def test_several_keys_and_one_of_them_taken_away(people, device):
    phone, stick = device(), device(alg=-8)
    visitor = await with_key(people, phone)
    await visitor.add_key(stick, "Sleutel aan <mijn> bos")
    page = await visitor.http.get("/oauth/passkeys")
    assert "Sleutel aan &lt;mijn&gt; bos" in page.text
    await visitor.post("passkeys-remove", page, sleutel=next(iter(phone.keys)))
    assert (await people.visitor().with_key(phone)).status_code == 403
    assert (await people.visitor().with_key(stick)).status_code == 303


async def test_the_only_way_in_is_not_taken_away(people, device):
    """Who came with a code of an operator, and has one key and no recovery codes."""
    phone, visitor = device(), people.visitor()
    await visitor.with_code(await people.code_for("tom"))
    await visitor.add_key(phone)
    page = await visitor.http.get("/oauth/passkeys")
    kept = await visitor.post("passkeys-remove", page, sleutel=next(iter(phone.keys)))
    assert kept.status_code == 400
    assert "Dit is uw enige sleutel" in kept.text
    assert kept.text.count("<title>Fout: ") == 1
    assert (await people.visitor().with_key(phone)).status_code == 303
    await visitor.post("recovery", kept)
    page = await visitor.http.get("/oauth/passkeys")
    await visitor.post("passkeys-remove", page, sleutel=next(iter(phone.keys)))
    assert (await people.visitor().with_key(phone)).status_code == 403


@pytest.mark.parametrize("name", ["", "   "])
async def test_a_key_without_a_name_gets_one(people, device, name):
    visitor = await people.signed_in()
    assert (await visitor.add_key(device(), name)).status_code == 303
    page = await visitor.http.get("/oauth/passkeys")
    assert re.search(r"<strong>Sleutel van \d+ [a-z]+ \d{4}</strong>", page.text)


async def test_nobody_takes_away_the_key_of_another(people, device):
    mine = device()
    await with_key(people, mine)
    tom = await people.signed_in("tom")
    page = await tom.http.get("/oauth/passkeys")
    await tom.post("passkeys-remove", page, sleutel=next(iter(mine.keys)))
    assert (await people.visitor().with_key(mine)).status_code == 303


async def test_ten_keys_are_enough(people, device):
    visitor = await with_key(people, device())
    for _ in range(9):
        assert (await visitor.add_key(device())).status_code == 303
    answer = await visitor.add_key(device())
    assert answer.status_code == 400
    assert "al tien sleutels" in answer.text


async def test_a_key_gives_no_more_than_the_sign_in_it_was_made_in(people, device):
    mine = device()
    visitor = await people.signed_in(acr="urn:laag")
    await visitor.add_key(mine)
    visitor = people.visitor()
    await visitor.with_key(mine)
    assert (await people.session_of(visitor)).level == "laag"


async def test_keys_are_changed_shortly_after_signing_in_only(people, device):
    visitor = await with_key(people, device())
    page = await visitor.http.get("/oauth/passkeys")
    for _ in range(3):
        people.world.clock.later(minutes=7)
        assert (await visitor.http.get("/oauth/sessions")).status_code == 200
    answer = await visitor.post("recovery", page)
    assert answer.headers["location"] == "sign-in?next=passkeys"
    choice = await visitor.http.get("/oauth/sign-in?next=passkeys")
    assert choice.status_code == 200
    assert "Verder als" not in choice.text


async def test_a_form_needs_the_token_of_its_session(people, device):
    visitor = await with_key(people, device())
    tom = await people.signed_in("tom")
    theirs = await tom.http.get("/oauth/passkeys")
    for path in ("passkeys", "passkeys-remove", "recovery", "sessions", "sign-out"):
        assert (await visitor.post(path, theirs)).status_code == 403
        assert (await visitor.http.post(f"/oauth/{path}")).status_code == 415
        cross = {"sec-fetch-site": "cross-site"}
        page = await visitor.http.get("/oauth/passkeys")
        form = people.world.hidden(page)
        answer = await visitor.http.post(f"/oauth/{path}", data=form, headers=cross)
        assert answer.status_code == 403


async def codes_of(visitor) -> list[str]:
    page = await visitor.http.get("/oauth/passkeys")
    return re.findall(r"<code>([^<]+)</code>", (await visitor.post("recovery", page)).text)


async def test_a_recovery_code_gets_its_person_in_once_and_to_the_page_for_keys(people, device):
    visitor = await with_key(people, device())
    codes = await codes_of(visitor)
    assert len(set(codes)) == 10
    fresh = people.visitor()
    answer = await fresh.with_code(f" {codes[3].upper()} ")
    assert answer.headers["location"].startswith("passkeys?flow=")
    assert (await people.session_of(fresh)).level == "laag"
    page = await fresh.http.get(f"/oauth/{answer.headers['location']}")
    assert "9" in page.text
    onward = re.search(r'href="(sign-in\?flow=[^"]*)"', page.text)[1]
    choice = await fresh.http.get(f"/oauth/{onward}")
    assert "Verder als Mia" in choice.text
    again = await fresh.post("sign-in", choice, verder="ja")
    assert again.headers["location"].startswith("consent")
    assert (await people.visitor().with_code(codes[3])).status_code == 400
    assert (await people.visitor().with_code(codes[4])).status_code == 303


async def test_of_many_who_use_one_recovery_code_one_gets_in(people, device):
    codes = await codes_of(await with_key(people, device()))
    visitors = [people.visitor() for _ in range(4)]
    answers = await asyncio.gather(*(one.with_code(codes[0]) for one in visitors))
    assert sorted(one.status_code for one in answers) == [303, 400, 400, 400]


async def test_new_recovery_codes_end_the_old_ones(people, device):
    visitor = await with_key(people, device())
    old, new = await codes_of(visitor), await codes_of(visitor)
    assert (await people.visitor().with_code(old[0])).status_code == 400
    assert (await people.visitor().with_code(new[0])).status_code == 303


async def test_recovery_codes_are_nowhere_at_rest(people, device, tmp_path):
    codes = await codes_of(await with_key(people, device()))
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(code.encode() in kept or code[6:].encode() in kept for code in codes)
    mine = await people.means.of("mia")
    assert all(code.replace("-", "")[5:] not in str(mine) for code in codes)


async def test_an_operators_code_gets_somebody_without_digid_to_his_first_key(people, device):
    code, mine = await people.code_for("tom"), device()
    visitor = people.visitor()
    answer = await visitor.with_code(code)
    assert answer.headers["location"].startswith("passkeys?flow=")
    assert (await visitor.add_key(mine)).status_code == 303
    answer = await people.visitor().with_key(mine)
    assert answer.headers["location"].startswith("consent")
    assert (await people.visitor().with_code(code)).status_code == 400


async def test_an_operators_code_is_good_for_a_week(people):
    code = await people.code_for("tom")
    people.world.clock.later(days=7, seconds=1)
    assert (await people.visitor().with_code(code)).status_code == 400


async def test_wrong_codes_get_one_answer_whatever_is_wrong(people, device):
    codes = await codes_of(await with_key(people, device()))
    texts = set()
    for code in (codes[0][:-1] + "0", "aaaaa-bbbbb-ccccc", "", "x" * 5000, "f" * 32, codes[0][:5]):
        answer = await people.visitor().with_code(code)
        assert answer.status_code == 400
        texts.add(re.sub(r'value="[^"]*"|flow=[\w-]*', "", answer.text))
    assert len(texts) == 1


async def test_a_disabled_account_gets_the_answer_of_a_wrong_key(people, device):
    mine = device()
    await with_key(people, mine)
    await people.world.registry.change(Account, "mia", lambda one: replace(one, disabled=True))
    assert (await people.visitor().with_key(mine)).status_code == 403


async def test_who_tries_too_often_is_told_when_to_come_back(people, device, tmp_path):
    rates = Rates(tmp_path / "rates", clock=lambda: 1000.0)
    other = Rates(tmp_path / "rates", clock=lambda: 1000.0)
    people.more["count"] = lambda limit, who: (
        rates.require(LIMITS[limit], who) if limit in LIMITS else None
    )
    mine = device()
    visitor = await with_key(people, mine)
    codes = await codes_of(visitor)
    for _ in range(5):
        assert (await people.visitor().with_code(codes[0][:-1] + "0")).status_code == 400
    answer = await people.visitor().with_code(codes[0])
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    for _ in range(5):
        await people.visitor().with_key(mine, id="C" * 43)
    assert (await people.visitor().with_key(mine, id="C" * 43)).status_code == 429
    assert (await people.visitor().with_key(mine)).status_code == 303
    while not other.check(
        f"{LOGIN_NETWORK.name}\x00192.0.2.0/24", LOGIN_NETWORK.rate, LOGIN_NETWORK.burst
    ):
        pass
    assert (await people.visitor().with_key(mine)).status_code == 429
    rates.close()
    other.close()


@pytest.mark.parametrize("odd", ["{}", " {}", "{}-", "-{}", "- - {}", "\u00a0{}"])
async def test_signs_between_do_not_make_another_account_of_a_code(people, device, tmp_path, odd):
    rates = Rates(tmp_path / "rates", clock=lambda: 1000.0)
    people.more["count"] = lambda limit, who: (
        rates.require(LIMITS[limit], who) if limit in LIMITS else None
    )
    code = (await codes_of(await with_key(people, device())))[0]
    for n in range(5):
        wrong = f"{code[0]}{' ' * n}{code[1:-1]}0"
        assert (await people.visitor().with_code(wrong)).status_code == 400
    typed = odd.format("-".join(code.replace("-", "").upper()))
    assert (await people.visitor().with_code(typed)).status_code == 429
    rates.close()


async def test_a_network_that_begins_too_many_sign_ins_is_told_to_wait(people, tmp_path):
    """Each question that is begun is kept: without a limit anybody could fill the store."""
    rates = Rates(tmp_path / "rates", clock=lambda: 1000.0)
    few = replace(BEGUN, burst=3)
    people.more["count"] = lambda limit, who: (
        rates.require(few, who) if limit == "sign-in-begun" else None
    )
    visitor = people.visitor()
    asked = [await visitor.ask(), await visitor.http.get("/oauth/sign-in?next=home")]
    asked.append(await visitor.http.get(f"/oauth/passkey?flow={visitor.flow_in(asked[0])}"))
    assert {one.status_code for one in asked} == {200}
    for path in ("/oauth/sign-in?next=home", f"/oauth/passkey?flow={visitor.flow_in(asked[0])}"):
        assert (await visitor.http.get(path)).status_code == 429
    late = await visitor.ask()
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1
    assert "location" not in late.headers
    rates.close()


class Work:
    """What was asked of the store, and how often a slow hash or a signature was worked out."""

    def __init__(self, monkeypatch, store) -> None:
        self.done: list[str] = []
        for name in ("lookup", "register", "peek", "take", "put", "drop"):
            self._spy(monkeypatch, store, name)
        self._spy(monkeypatch, recovery, "scrypt")
        self._spy(monkeypatch, passkeys, "verify_authentication_response")

    def _spy(self, monkeypatch, place, name) -> None:
        real = getattr(place, name)

        def counted(*args, **kwargs):
            self.done.append(f"{name} {args[0]}" if isinstance(args[:1] and args[0], str) else name)
            return real(*args, **kwargs)

        monkeypatch.setattr(place, name, counted)

    def of_last(self) -> list[str]:
        found, self.done[:] = sorted(self.done), []
        return found


async def test_a_code_of_nobody_costs_the_same_work_as_a_wrong_one(people, device, monkeypatch):
    code = (await codes_of(await with_key(people, device())))[0]
    pages = []
    for _ in range(3):
        visitor = people.visitor()
        pages.append((visitor, await visitor.http.get(await recover_page(visitor))))
    work, told = Work(monkeypatch, people.world.store), []
    for (visitor, page), typed in zip(
        pages, (code[:-1] + "0", "aaaaa-bbbbb-ccccc", "q"), strict=True
    ):
        answer = await visitor.post("recover", page, code=typed)
        text = re.sub(r'value="[^"]*"|flow=[\w-]*', "", answer.text)
        told.append((answer.status_code, text, work.of_last()))
    assert told[0] == told[1] == told[2]
    assert told[0][2].count("scrypt") == 1
    lines = [line for line in people.world.lines if line[0] == "oauth.sign-in"][-3:]
    assert lines[0] == lines[1] == lines[2]


async def recover_page(visitor) -> str:
    return f"/oauth/recover?flow={visitor.flow_in(await visitor.ask())}"


async def test_a_key_of_nobody_costs_the_same_work_as_a_wrong_one(people, device, monkeypatch):
    mine = device()
    await with_key(people, mine)
    await people.visitor().with_key(mine)
    told = []
    for err in ({"key": ec.generate_private_key(ec.SECP256R1())}, {"id": "A" * 43}):
        with monkeypatch.context() as patch:
            work = Work(patch, people.world.store)
            answer = await people.visitor().with_key(mine, **err)
            told.append((answer.status_code, work.of_last()))
    assert told[0] == told[1]
    assert told[0][1].count("verify_authentication_response") == 1


async def test_without_a_level_there_are_no_passkeys(people):
    people.ways = replace(people.ways, passkey_level="")
    visitor = people.visitor()
    page = await visitor.ask()
    assert "passkey?" not in page.text
    flow = re.search(r"flow=([\w-]+)", page.text)[1]
    for path in ("passkey", "recover"):
        assert (await visitor.http.get(f"/oauth/{path}?flow={flow}")).status_code == 404


@pytest.mark.parametrize(
    "sent",
    ["", "{}", "[]", "x", '{"id":1}', '{"id":"a","response":{"clientDataJSON":"e30"}}', "[" * 9000],
)
async def test_what_is_no_proof_at_all_is_refused_like_any_other(people, sent):
    visitor = people.visitor()
    page = await visitor.ask()
    page = await visitor.http.get("/oauth/" + re.search(r'href="(passkey\?[^"]*)"', page.text)[1])
    assert (await visitor.post("passkey", page, credential=sent)).status_code == 403
