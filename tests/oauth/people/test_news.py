"""What changed in how somebody signs in is told to him and to nobody else, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace

import orjson
import pytest

from pgo.errors import Conflict
from pgo.oauth.means import Means, link, unlink
from pgo.oauth.news import (
    CODES,
    ENTRY,
    KINDS,
    LINK,
    NO_PASSKEY,
    OUT,
    PASSKEY,
    RECOVERY,
    UNLINK,
    added,
    letter,
    sentence,
    since,
    taken_back,
)
from pgo.oauth.texts import DUTCH, TONGUES

DAY = 86_400


async def news_of(people, person="mia") -> list[tuple[str, int]]:
    """Kind and count of what a person is told, oldest first."""
    found = since((await people.means.of(person)).news)
    return [(one.kind, one.times) for one in found[::-1]]


async def codes_of(visitor) -> list[str]:
    page = await visitor.post("recovery", await visitor.http.get("/oauth/passkeys"))
    return re.findall(r"<code>([^<]+)</code>", page.text)


async def test_every_change_in_how_somebody_signs_in_is_told_once(people, device):
    visitor, mine = await people.signed_in(), device()
    assert await news_of(people) == [(LINK, 1)]
    await visitor.add_key(mine)
    (code, *_) = await codes_of(visitor)
    await people.visitor().with_code(code)
    page = await visitor.http.get("/oauth/passkeys")
    await visitor.post("passkeys-remove", page, sleutel=next(iter(mine.keys)))
    await visitor.post("sign-out", await visitor.http.get("/oauth/sessions"), waar="overal")
    told = [LINK, PASSKEY, CODES, RECOVERY, NO_PASSKEY, OUT]
    assert await news_of(people) == [(kind, 1) for kind in told]


async def test_a_code_of_an_operator_is_told_when_it_is_used(people):
    visitor = people.visitor()
    await visitor.with_code(await people.code_for("tom"))
    assert await news_of(people, "tom") == [(ENTRY, 1)]


async def test_it_stands_on_his_own_pages_with_what_to_do(people, device):
    visitor = await people.signed_in()
    await visitor.add_key(device(), "Bel <b>0900-1234</b>")
    home = await visitor.http.get("/mijn")
    assert "Er veranderde iets aan hoe u inlogt" in home.text
    page = await visitor.http.get("/oauth/sessions")
    assert "Er is een toegangssleutel bij gekomen." in page.text
    assert "Inloggen met Good kan nu ook." in page.text
    assert "Maak nieuwe herstelcodes" in page.text
    assert "0900" not in page.text
    await people.means.change("mia", month_ago)
    assert "Er veranderde iets" not in (await visitor.http.get("/mijn")).text
    assert "toegangssleutel bij gekomen" not in (await visitor.http.get("/oauth/sessions")).text


def month_ago(means: Means) -> Means:
    """The same news, of 31 days earlier."""
    return replace(means, news=tuple(replace(one, at=one.at - 31 * DAY) for one in means.news))


async def test_nobody_else_is_told(people, device):
    mia, tom = await people.signed_in(), await people.signed_in("tom")
    await mia.add_key(device())
    assert await news_of(people, "tom") == [(LINK, 1)]
    assert "toegangssleutel bij" not in (await tom.http.get("/oauth/sessions")).text


async def test_what_was_refused_is_no_news_and_gets_the_answer_a_stranger_gets(people, device):
    visitor, mine = await people.signed_in(), device()
    await visitor.add_key(mine)
    before = await news_of(people)
    (code, *_) = [await people.code_for("mia")]
    for wrong in (code[:-1] + "x", "aaaaa-bbbbb-ccccc", "x" * 32):
        assert (await people.visitor().with_code(wrong)).status_code == 400
    assert (await people.visitor().with_key(mine, challenge="A" * 43)).status_code == 403
    page = await visitor.http.get("/oauth/passkeys")
    assert (await visitor.post("passkeys", page, credential="x")).status_code == 400
    assert (await visitor.post("passkeys-remove", page, sleutel="of-nobody")).status_code == 303
    assert (await visitor.post("recovery", page, form="wrong")).status_code == 403
    assert await news_of(people) == before


async def test_a_form_from_elsewhere_brings_no_news(people):
    visitor = await people.signed_in()
    answer = await visitor.http.post("/oauth/sign-out", data={"waar": "overal", "form": "x"})
    assert answer.status_code == 403
    assert await news_of(people) == [(LINK, 1)]


async def test_a_change_that_cannot_be_written_down_is_told_all_the_same(people, device):
    visitor = await people.signed_in()
    page = await visitor.http.get("/oauth/passkeys")
    made = device().create(visitor.options(page))
    people.world.pen_broken = True
    assert (await visitor.post("passkeys", page, credential=made)).status_code == 503
    people.world.pen_broken = False
    assert len((await people.means.of("mia")).passkeys) == 1
    assert (PASSKEY, 1) in await news_of(people)


@pytest.mark.parametrize("writes", range(8))
async def test_whatever_write_is_the_last_there_is_no_change_without_its_news(
    people, monkeypatch, writes
):
    """A process that is killed after any number of writes, in the middle of making codes."""
    visitor = await people.signed_in()
    page = await visitor.http.get("/oauth/passkeys")
    store, left = people.world.store, writes
    register = store.register

    async def killed(*given, **more):
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return await register(*given, **more)

    monkeypatch.setattr(store, "register", killed)
    with contextlib.suppress(asyncio.CancelledError):
        await visitor.post("recovery", page)
    monkeypatch.undo()
    means = await people.means.of("mia")
    assert bool(means.codes) is any(one.kind == CODES for one in means.news)


async def test_changes_at_the_same_moment_are_all_counted(people):
    await asyncio.gather(
        *(people.means.change("mia", lambda mine: mine.telling(CODES, 5)) for _ in range(8))
    )
    assert await news_of(people) == [(CODES, 8)]


async def test_a_link_that_was_somebody_elses_is_no_news(people):
    await link(people.means, "tom", "good", "post", 5)
    with pytest.raises(Conflict):
        await link(people.means, "mia", "good", "post", 6)
    assert await news_of(people) == []
    await link(people.means, "mia", "good", "another", 7)
    assert await news_of(people) == [(LINK, 1)]
    assert [one.n for one in since((await people.means.of("mia")).news, 1)] == [2]


async def test_a_link_that_ends_is_told_and_one_that_never_was_is_not(people):
    await link(people.means, "mia", "good", "post", 5)
    assert await unlink(people.means, "mia", "other", 6) == 0
    assert await unlink(people.means, "mia", "good", 7) == 1
    assert await news_of(people) == [(LINK, 1), (UNLINK, 1)]
    assert await people.means.pointed("provider", "post") == ""


async def test_means_from_before_there_was_news_are_read(people):
    world, place = people.world, b"means|means|mia"
    old = {name: [] for name in ("sessions", "passkeys", "links", "codes")}
    old |= dict.fromkeys(("handle", "selector", "salt"), "")
    await world.store.register("means", "mia", world.box.seal(place, orjson.dumps(old)))
    assert await people.means.of("mia") == Means()


def test_however_often_a_thing_is_done_it_pushes_nothing_out():
    news = added((), PASSKEY, DAY)
    for n in range(500):
        news = added(news, CODES, DAY + n)
    assert [(one.kind, one.times) for one in since(news)] == [(CODES, 500), (PASSKEY, 1)]
    for day in range(2, 60):
        for kind in KINDS:
            news = added(added(news, kind, day * DAY, "a"), kind, day * DAY, "a")
    assert PASSKEY in {one.kind for one in news if one.at == DAY}
    news = added(news, OUT, 200 * DAY)
    assert [one.kind for one in news] == [OUT]


def test_of_two_things_the_later_has_the_higher_number_whatever_was_forgotten():
    news, seen = (), 0
    for day in (1, 1, 2, 400, 401, 900):
        news = added(news, CODES, day * DAY)
        assert news[-1].n > seen
        seen = news[-1].n
    news = added(taken_back(news, CODES), OUT, 901 * DAY)
    assert [(one.kind, one.n) for one in since(news, seen)] == [(OUT, seen + 1)]


@pytest.mark.parametrize("tongue", TONGUES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_told_in_each_tongue(kind, tongue):
    (one,) = added((), kind, DAY, "good" if kind in (LINK, UNLINK) else "")
    told = sentence(one, TONGUES[tongue], {"good": "DigiD"})
    assert "{" not in told
    assert ("DigiD" in told) is (kind in (LINK, UNLINK))
    twice = sentence(added((one,), kind, DAY, one.what)[0], TONGUES[tongue], {})
    assert "(2 " in twice


def test_a_letter_says_what_when_and_what_to_do():
    news = since(added(added((), PASSKEY, 1_795_000_000), LINK, 1_795_000_100, "good"))
    subject, text = letter(news, DUTCH, {"good": "DigiD"}, "https://pgo.example/oauth/sessions")
    assert subject == "Er veranderde iets aan hoe u inlogt"
    lines = text.splitlines()
    assert lines[3].endswith("Er is een toegangssleutel bij gekomen.")
    assert re.match(r"- \d+ [a-z]+ 2026, \d\d:\d\d: ", lines[3])
    assert lines[4].endswith("Inloggen met DigiD kan nu ook.")
    assert "https://pgo.example/oauth/sessions" in lines
    assert "Log daar overal uit." in text


# --- where the eye and the keyboard land after an error, and the way back ------------------------


async def test_after_an_error_the_keyboard_is_where_the_error_is(people):
    visitor = people.visitor()
    choice = await visitor.ask()
    recover = await visitor.http.get(f"/oauth/recover?flow={visitor.flow_in(choice)}")
    assert "autofocus" not in recover.text
    wrong = await visitor.post("recover", recover, code="x")
    assert re.search(r'<input id="code"[^>]*aria-describedby="wrong"[^>]*autofocus', wrong.text)
    passkey = await visitor.http.get(f"/oauth/passkey?flow={visitor.flow_in(choice)}")
    assert "autofocus" not in passkey.text
    wrong = await visitor.post("passkey", passkey, credential="x")
    assert re.search(r'role="alert" id="wrong" tabindex="-1" autofocus', wrong.text)
    unknown = await visitor.follow(await visitor.sign_in(choice, sub="pseudo-x"))
    wrong = await visitor.post("link", unknown, code="x")
    assert re.search(r'<input id="code"[^>]*aria-describedby="wrong"[^>]*autofocus', wrong.text)


async def test_who_is_not_known_yet_can_go_back_and_sign_in_in_another_way(people):
    await people.signed_in()
    visitor = people.visitor()
    page = await visitor.follow(await visitor.sign_in(sub="pseudo-x"))
    back = await visitor.http.get(f"/oauth/sign-in?flow={visitor.flow_in(page)}")
    assert "Hoe wilt u inloggen?" in back.text
    assert f"sign-in?flow={visitor.flow_in(page)}" in page.text
    answer = await visitor.sign_in(back, sub="pseudo-mia")
    assert answer.headers["location"].startswith("consent")
    assert "Mia" in (await visitor.follow(answer)).text
