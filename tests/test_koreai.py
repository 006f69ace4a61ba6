"""What is odd about Kore.ai: a token we sign, one scope that could also start campaigns, contacts
without an id or a time, and campaigns that are skipped, refused or gone."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from pipelines.run import reset_vendor
from sources._api import Api
from sources._endpoints import Finding, Listed, Night, Slice
from sources._errors import VendorError
from sources._meter import Meter
from sources.koreai import VENDOR
from tests.fakes._server import Answer, Ask, Fault, Row
from tests.fakes.koreai import CONTACTS, RATE_MESSAGE, KoreaiFake
from tests.house import House, assert_holds, assert_table

MakeHouse = Callable[..., House]
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)
FAST = {"koreai__requests_per_minute": 100_000}


@pytest.fixture
def fake() -> Iterator[KoreaiFake]:
    with KoreaiFake() as running:
        running.now = lambda: NOW - timedelta(hours=1)
        yield running


@pytest.fixture
def home(house: MakeHouse, fake: KoreaiFake) -> House:
    return house(fake, **FAST)


class Reader:
    """Nights of both endpoints without a warehouse: what they give, and what they would keep."""

    def __init__(self, fake: KoreaiFake, **settings: Any) -> None:
        fixed = {"campaign_ids": [], "page_size": 3, "max_in_flight": 1}
        fixed["requests_per_minute"] = 100_000
        self.fake, self.settings = fake, fixed | fake.settings() | settings
        self.states: dict[str, Any] = {}

    @property
    def api(self) -> Api:
        return VENDOR.connect(self.settings, Meter())

    def night(self, now: datetime) -> dict[str, Slice]:
        """The slices of a night by their label; held and refused ones too."""
        night = Night(now, self.settings, json.loads(json.dumps(self.states)))
        slices, api = {}, self.api
        for endpoint in VENDOR.endpoints:
            assert isinstance(endpoint, Listed)
            for piece in endpoint.read(api, night):
                known = self.states.setdefault(endpoint.name, {})
                self.states[endpoint.name] = known | dict(piece.state)
                slices[piece.label] = piece
        return slices

    def pages(self, campaign_id: str, now: datetime) -> list[int]:
        """The pages of a campaign's contacts that a night asks for."""
        with self.fake.counting() as asks:
            self.night(now)
        wanted = [a for a in asks if campaign_id in a.path and a.query["view"] == "contacts"]
        return [ask.json()["page"] for ask in wanted]


@pytest.fixture
def reader(fake: KoreaiFake) -> Reader:
    return Reader(fake)


def campaign(fake: KoreaiFake, contacts: int = 2, **fields: Any) -> str:
    campaign_id = str(fake.add_campaign(**fields)["_id"])
    for _ in range(contacts):
        fake.call(fake.add_contact(campaign_id))
    return campaign_id


def held(home: House) -> list[str]:
    return home.board.vendors["koreai"].held


def warnings(home: House) -> list[str]:
    return home.board.vendors["koreai"].warnings


def current(home: House, campaign_id: str) -> int:
    query = (
        "select count(*) from koreai.campaign_contacts "
        "where campaign_id = ? and _dlt_valid_to is null"
    )
    return int(home.sql(query, [campaign_id])[0][0])


def versions(home: House) -> int:
    return int(home.sql("select count(*) from koreai.campaign_contacts")[0][0])


# --- asking --------------------------------------------------------------------------------------


def test_each_login_is_a_short_token_of_its_own(fake: KoreaiFake, reader: Reader) -> None:
    fake.enforce_jti = True
    campaign(fake)
    reader.night(NOW)
    fake.expire_logins()
    reader.night(NOW + DAY)
    asks = fake.asked()
    tokens = {ask.headers["auth"] for ask in asks}
    claims = [jwt.decode(token, fake.client_secret, ["HS256"]) for token in tokens]
    assert len({c["jti"] for c in claims}) == len(claims) > 1
    assert {c["appId"] for c in claims} == {fake.client_id}
    assert all(c["sub"] and 0 < c["exp"] - c["iat"] <= 400 for c in claims)
    sent = {(a.headers["iid"], a.headers["accountid"]) for a in asks}
    assert sent == {(fake.app_id, fake.account_id)}
    assert not any("authorization" in a.headers for a in asks)


def test_a_token_refused_in_the_middle_is_replaced(fake: KoreaiFake, reader: Reader) -> None:
    campaign_id = campaign(fake, contacts=8)
    honest = fake.answer

    def answer(ask: Ask) -> Answer:
        reply = honest(ask)
        if len(fake.seen) == 2:
            fake.expire_logins()
        return reply

    fake.answer = answer  # type: ignore[method-assign]
    assert len(reader.night(NOW)[campaign_id]) == 8
    assert [status for _, status in fake.seen].count(401) == 1


@pytest.mark.parametrize(
    "path", ["/cd-1/start", "/cd-1", "/cd-1/stop", "/a/b/status", "/a%2Fb/status", "/../x/status"]
)
def test_nothing_but_the_two_reads_leaves(fake: KoreaiFake, reader: Reader, path: str) -> None:
    with pytest.raises(VendorError, match="no documented read"):
        reader.api.post(path, {})
    assert not fake.seen


def test_every_request_carries_page_and_limit_as_numbers(fake: KoreaiFake, reader: Reader) -> None:
    campaign(fake, contacts=7)
    reader.night(NOW)
    assert [ask.json() for ask in fake.asked()] == [
        {"type": "voice", "page": 1, "limit": 50},
        {"page": 1, "limit": 3},
        {"page": 2, "limit": 3},
        {"page": 3, "limit": 3},
    ]


@pytest.mark.parametrize("word", ["failure", "error"])
def test_a_failure_in_a_good_reply_is_a_failure(
    fake: KoreaiFake, reader: Reader, word: str
) -> None:
    refusal = {"status": word, "message": "no scope for you@example.com"}
    fake.rewrites = [("getAll", lambda _: refusal)]
    with pytest.raises(VendorError, match=rf"answers '{word}' \(no scope for \*\*\*\)"):
        reader.night(NOW)


@pytest.mark.parametrize("style", ["429", "200"])
def test_a_rate_limit_that_lasts_is_an_error_and_no_campaign_gone(
    fake: KoreaiFake, reader: Reader, style: Any
) -> None:
    campaign(fake)
    fake.clock, fake.rate_limit, fake.rate_limit_style = (lambda: 0.0), 1, style
    with pytest.raises(VendorError, match=RATE_MESSAGE.split(".")[0]) as caught:
        reader.night(NOW)
    assert caught.value.status == 429


def test_a_rate_limit_is_waited_for(fake: KoreaiFake, reader: Reader) -> None:
    campaign_id = campaign(fake)
    ticks = iter(range(0, 100_000, 25))
    fake.clock, fake.rate_limit, fake.rate_limit_style = (lambda: next(ticks)), 2, "200"
    assert len(reader.night(NOW)[campaign_id]) == 2


# --- campaigns -----------------------------------------------------------------------------------


def test_campaigns_are_read_by_pages_and_their_id_is_called_id(
    fake: KoreaiFake, home: House
) -> None:
    fake.skip_wins = True
    for _ in range(53):
        campaign(fake, contacts=0)
    fake.add_sms_campaign()
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert_holds(home, fake)
    assert [ask.json()["page"] for ask in fake.asked("getAll")] == [1, 2]
    assert "_id" not in home.rows("koreai", "campaigns")[0]


def test_a_list_that_calls_the_id_id_gives_the_same_rows(fake: KoreaiFake, reader: Reader) -> None:
    campaign(fake), campaign(fake)
    before = reader.night(NOW)["all"]
    fake.list_id_key = "id"
    assert reader.night(NOW + DAY)["all"].rows == before.rows


def test_a_list_that_does_not_heed_the_page_is_an_error_and_ends(
    fake: KoreaiFake, reader: Reader
) -> None:
    for _ in range(3):
        campaign(fake, contacts=0)
    endless = {"hasMore": True, "totalPages": 9}
    fake.rewrites = [("getAll", lambda body: body | {"data": body["data"] | endless})]
    honest = fake._list
    fake._list = lambda ask: honest(  # type: ignore[method-assign]
        replace(ask, body=json.dumps(ask.json() | {"page": 1}).encode())
    )
    with pytest.raises(VendorError, match="page 2 repeats page 1"):
        reader.night(NOW)
    assert len(fake.seen) < 20


def test_configured_campaigns_are_not_discovered(house: MakeHouse, fake: KoreaiFake) -> None:
    first, _, third = (campaign(fake, contacts=n) for n in (3, 4, 5))
    home = house(fake, koreai__campaign_ids=f"{first},{third},{first}")
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert not fake.asked("getAll")
    rows = [
        {"id": i, **{n: fake.campaigns[i][n] for n in ("name", "status")}, "priority": None}
        for i in (first, third)
    ]
    assert_table(home, "koreai", "campaigns", rows)
    wanted = [r for r in fake.expected()["campaign_contacts"] if r["campaign_id"] in (first, third)]
    assert_table(home, "koreai", "campaign_contacts", wanted)


def test_a_configured_campaign_that_is_not_known_is_named_and_warned_of(
    house: MakeHouse, fake: KoreaiFake
) -> None:
    fake.unknown_campaign_status = 404
    known = campaign(fake, contacts=3)
    home = house(fake, koreai__campaign_ids=f"{known},cd-nobody")
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert home.sql("select id, name, status from koreai.campaigns order by name nulls last") == [
        (known, fake.campaigns[known]["name"], "Ready"),
        ("cd-nobody", None, None),
    ]
    assert any("campaign_ids" in w and "cd-nobody" in w for w in warnings(home))
    fake.remove_campaign(known)
    fake.unknown_campaign_status = 200
    fake.campaigns["cd-nobody"] = {"name": "here now", "status": "Active"}
    assert home.run(now=NOW + DAY) == 0, home.error("koreai")
    assert home.sql(
        "select id, name, status from koreai.campaigns where _dlt_valid_to is null order by name"
    ) == [
        (known, "Service Renewal Outreach Campaign61", "Ready"),
        ("cd-nobody", "here now", "Active"),
    ]
    assert current(home, known) == 3


def test_campaigns_beyond_the_configured_ones_are_not_gone(
    house: MakeHouse, fake: KoreaiFake
) -> None:
    first, second = campaign(fake, 3), campaign(fake, 4)
    home = house(fake)
    assert home.run(now=NOW) == 0
    home.settings["koreai__campaign_ids"] = first
    assert home.run(now=NOW + DAY) == 0
    assert current(home, second) == 4
    assert len(home.rows("koreai", "campaigns")) == 2
    del home.settings["koreai__campaign_ids"]
    fake.remove_campaign(second)
    assert home.run(now=NOW + 2 * DAY) == 0
    assert_holds(home, fake)


# --- contacts ------------------------------------------------------------------------------------


def test_a_total_that_the_pages_do_not_hold_is_a_warning(fake: KoreaiFake, home: House) -> None:
    """The vendor's own sample: totalResults 4, three contacts."""
    campaign_id = campaign(fake, contacts=0)
    fake.contacts[campaign_id] = [dict(row) for row in CONTACTS]
    lied = {"totalResults": 4}
    fake.rewrites = [("/status", lambda body: body | {"data": body["data"] | lied})]
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert_holds(home, fake)
    assert "the vendor reports a total of 4, its pages hold 3" in warnings(home)[0]


def test_equal_contacts_are_rows_of_their_own_and_page_order_makes_no_version(
    fake: KoreaiFake, house: MakeHouse
) -> None:
    home = house(fake, koreai__page_size=2, **FAST)
    one, two, three = (campaign(fake, contacts=0) for _ in range(3))
    twin = dict(CONTACTS[1])
    for each in (one, two, three):
        fake.contacts[each] = [twin | {"numberOfAttemptsSoFar": n} for n in (3, 1, 1)]
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert_holds(home, fake)
    fake.contacts[one].reverse()
    fake.contacts[two].append(dict(twin))
    fake.contacts[three].remove(twin)
    assert home.run(now=NOW + DAY) == 0
    assert_holds(home, fake)
    history = (
        "select list((occurrence, number_of_attempts_so_far) order by _dlt_valid_from, occurrence)"
        "from koreai.campaign_contacts where campaign_id = ?"
    )
    at_first = [(0, 1), (1, 1), (2, 3)]
    assert home.sql(history, [one]) == [(at_first,)]
    assert home.sql(history, [two]) == [([*at_first, (2, 1), (3, 3)],)]
    assert home.sql(history, [three]) == [([*at_first, (1, 3)],)]


def test_a_contact_without_a_unique_id_has_an_empty_one(fake: KoreaiFake, home: House) -> None:
    null, missing, _ = fake.contacts[campaign(fake, contacts=3)]
    null["uniqueId"] = None
    del missing["uniqueId"]
    assert home.run(now=NOW) == 0, home.error("koreai")
    assert home.sql("select distinct unique_id from koreai.campaign_contacts") == [("",)]


def test_a_contact_without_a_phone_number_is_an_error(fake: KoreaiFake, home: House) -> None:
    del fake.contacts[campaign(fake, contacts=3)][1]["phoneNumber"]
    assert home.run(now=NOW) == 1
    assert "a row came without its key 'phoneNumber'" in home.error("koreai")


def test_fields_that_are_new_make_no_version_and_no_clash(fake: KoreaiFake, home: House) -> None:
    campaign_id = campaign(fake, contacts=3)
    assert home.run(now=NOW) == 0
    for row in fake.contacts[campaign_id]:
        row |= {"campaignId": campaign_id, "lastCalledBy": "nobody"}
    fake.call(fake.contacts[campaign_id][0])
    assert home.run(now=NOW + DAY) == 0, home.error("koreai")
    query = "select last_called_by, count(*) from koreai.campaign_contacts group by 1 order by 2"
    assert home.sql(query) == [("nobody", 1), (None, 3)]


def test_another_page_than_the_one_asked_for_is_an_error(fake: KoreaiFake, reader: Reader) -> None:
    campaign(fake, contacts=5)
    fake.rewrites = [("/status", lambda body: body | {"data": body["data"] | {"page": 1}})]
    with pytest.raises(VendorError, match="page 2 was asked for, page 1 came"):
        reader.night(NOW)


def test_the_history_has_no_gap_and_no_overlap(fake: KoreaiFake, house: MakeHouse) -> None:
    fake.now = lambda: datetime.now(UTC)
    home = house(fake, koreai__page_size=20, **FAST)
    fake.seed(150)
    for day in range(3):
        fake.shift_once()
        fake.expire_logins()
        assert home.run(now=fake.now() + day * DAY) == 0, home.error("koreai")
        assert_holds(home, fake)
        fake.change()
    broken = home.sql(
        "select count(*) from (select _dlt_valid_to, lead(_dlt_valid_from) over (partition by "
        "campaign_id, phone_number, unique_id, occurrence order by _dlt_valid_from) as next "
        "from koreai.campaign_contacts) where next is not null and next is distinct from "
        "_dlt_valid_to"
    )
    assert broken == [(0,)]
    assert not fake.writes


# --- skipped campaigns ---------------------------------------------------------------------------


@pytest.fixture
def finished(fake: KoreaiFake, reader: Reader) -> str:
    """A campaign of two pages that is over and was read."""
    campaign_id = campaign(fake, contacts=5, status="Completed")
    assert reader.pages(campaign_id, NOW) == [1, 2]
    return campaign_id


def test_a_finished_campaign_is_skipped_for_a_week(finished: str, reader: Reader) -> None:
    nights = [reader.pages(finished, NOW + n * DAY) for n in range(1, 9)]
    assert nights == [[1]] * 6 + [[1, 2]] + [[1]]
    assert finished not in reader.night(NOW + 9 * DAY)


@pytest.mark.parametrize("stamp", ["updatedAt", "campaignInstanceUpdatedAt"])
def test_a_finished_campaign_with_another_stamp_is_read(
    finished: str, fake: KoreaiFake, reader: Reader, stamp: str
) -> None:
    fake.campaigns[finished][stamp] = "2026-11-02T09:00:00.000Z"
    assert reader.pages(finished, NOW + DAY) == [1, 2]


def test_a_finished_campaign_with_another_total_is_read(
    finished: str, fake: KoreaiFake, reader: Reader
) -> None:
    del fake.contacts[finished][0]
    assert reader.pages(finished, NOW + DAY) == [1, 2]


@pytest.mark.parametrize("status", ["Active", "Paused"])
def test_a_campaign_that_is_not_finished_is_read_each_night(
    fake: KoreaiFake, reader: Reader, status: str
) -> None:
    campaign_id = campaign(fake, contacts=5, status=status)
    assert [reader.pages(campaign_id, NOW + n * DAY) for n in range(2)] == [[1, 2]] * 2


def test_a_configured_campaign_has_no_stamps_and_is_never_skipped(
    finished: str, reader: Reader
) -> None:
    reader.settings |= {"campaign_ids": [finished]}
    assert [reader.pages(finished, NOW + n * DAY) for n in (1, 2)] == [[1, 2]] * 2


def test_after_a_reset_all_is_read_again(fake: KoreaiFake, home: House) -> None:
    campaign_id = campaign(fake, contacts=5, status="Completed")
    assert home.run(now=NOW) == 0
    reset_vendor(home.config, "koreai", home.board)
    fake.call(fake.contacts[campaign_id][0])  # which no stamp tells
    assert home.run(now=NOW + DAY) == 0
    assert versions(home) == 6
    assert_holds(home, fake)


# --- gone, emptied, refused ----------------------------------------------------------------------


def test_the_contacts_of_a_campaign_that_is_gone_are_closed(fake: KoreaiFake, home: House) -> None:
    stays, goes = campaign(fake, 4), campaign(fake, 5, status="Completed")
    assert home.run(now=NOW) == 0
    fake.remove_campaign(goes)
    assert home.run(now=NOW + DAY) == 0, home.error("koreai")
    assert_holds(home, fake)
    assert versions(home) == 9
    assert (current(home, stays), current(home, goes)) == (4, 0)


def test_a_large_campaign_that_is_gone_is_held_back_also_twice_a_day(
    fake: KoreaiFake, home: House
) -> None:
    goes = campaign(fake, 30, status="Completed")
    assert home.run(now=NOW) == 0
    fake.remove_campaign(goes)
    for hours in (24, 25):
        assert home.run(now=NOW + timedelta(hours=hours)) == 1
        assert home.error("koreai") == ""
        assert f"contacts of campaign {goes}, which is no more listed: 0 where 30" in held(home)[0]
        assert current(home, goes) == 30
        assert home.rows("koreai", "campaigns") == []


def test_a_large_campaign_that_is_gone_is_closed_and_forgotten_when_three_days_agree(
    fake: KoreaiFake, reader: Reader
) -> None:
    goes = campaign(fake, 30, status="Completed")
    reader.night(NOW)
    fake.remove_campaign(goes)
    nights = [reader.night(NOW + n * DAY).get(goes) for n in range(1, 5)]
    told = [(tuple(n.rows.values()), n.scope, len(n.held)) for n in nights if n is not None]
    assert told == [((), (), 1), ((), (), 1), (([],), (goes,), 0)]
    assert goes not in json.dumps(reader.states)
    fake.restore_campaign(goes)
    assert len(reader.night(NOW + 5 * DAY)[goes]) == 30


def test_a_campaign_that_came_back_is_no_more_in_doubt(fake: KoreaiFake, reader: Reader) -> None:
    goes = campaign(fake, 30, status="Completed")
    reader.night(NOW)
    for day in (1, 2, 4, 5):
        fake.remove_campaign(goes)
        assert reader.night(NOW + day * DAY)[goes].held
        fake.restore_campaign(goes)
        back = reader.night(NOW + day * DAY + timedelta(hours=1))[goes]
        assert (len(back), back.scope, back.held) == (30, (goes,), ())


def test_an_emptied_campaign_is_held_back_and_the_others_are_not(
    fake: KoreaiFake, home: House
) -> None:
    ids = [campaign(fake, size) for size in (30, 31, 5, 40)]
    doubted, accepted, small, other = ids
    assert home.run(now=NOW) == 0
    for each in (doubted, accepted, small):
        fake.empty_campaign(each)
    fake.add_contact(other)
    assert home.run(now=NOW + DAY, accept_shrink={"koreai": frozenset({accepted})}) == 1
    assert [current(home, each) for each in ids] == [30, 0, 0, 41]
    assert len(held(home)) == 1
    assert f"contacts of campaign {doubted}: 0 where 30" in held(home)[0]


def test_when_the_list_shrinks_much_nothing_counts_as_gone(fake: KoreaiFake, home: House) -> None:
    ids = [campaign(fake, 1) for _ in range(22)]
    assert home.run(now=NOW) == 0
    for each in ids[5:]:
        fake.remove_campaign(each)
    fake.add_contact(ids[0])
    assert home.run(now=NOW + DAY) == 1
    assert "the list of campaigns: 5 where 22 were" in held(home)[0]
    assert len(home.rows("koreai", "campaigns")) == 22
    assert len(home.rows("koreai", "campaign_contacts")) == 23


def test_a_list_that_shrank_much_is_real_when_three_days_agree(
    fake: KoreaiFake, reader: Reader
) -> None:
    ids = [campaign(fake, 1) for _ in range(22)]
    reader.night(NOW)
    for each in ids[5:]:
        fake.remove_campaign(each)
    nights = [reader.night(NOW + n * DAY) for n in (1, 2, 3)]
    assert ["held" in night for night in nights] == [True, True, False]
    assert [ids[-1] in night for night in nights] == [False, False, True]
    assert set(nights[2]["all"].scope or ()) == set(ids)


@pytest.mark.parametrize("status", [200, 404])
def test_a_campaign_that_goes_between_list_and_contacts_is_left_as_it_is(
    fake: KoreaiFake, reader: Reader, status: Any
) -> None:
    fake.unknown_campaign_status = status
    stays, goes = campaign(fake, 3), campaign(fake, 4)
    reader.night(NOW)
    honest = fake.answer

    def answer(ask: Ask) -> Answer:
        reply = honest(ask)
        if ask.path.endswith("getAllCampaignDetails") and goes in fake.campaigns:
            fake.remove_campaign(goes)
        return reply

    fake.answer = answer  # type: ignore[method-assign]
    night = reader.night(NOW + DAY)
    assert (len(night[stays]), night[stays].warnings) == (3, ())
    assert (night[goes].rows, night[goes].scope) == ({}, ())
    assert goes in night[goes].warnings[0]
    assert "they stay as they were" in night[goes].warnings[0]


def test_a_campaign_that_is_listed_and_refused_is_held_and_the_others_are_loaded(
    fake: KoreaiFake, home: House
) -> None:
    reads, refused = campaign(fake, 3), campaign(fake, 4)
    assert home.run(now=NOW) == 0
    refusal: Row = {"status": "failure", "message": "not in scope"}
    fake.faults = [Fault("status", f"/{refused}/", times=99, status=404, body=refusal)]
    fake.add_contact(reads)
    assert home.run(now=NOW + DAY) == 1
    assert home.error("koreai") == ""
    assert [refused in told for told in held(home)] == [True]
    assert (current(home, reads), current(home, refused)) == (4, 4)


def test_a_campaign_is_held_too_where_the_list_is_refused_after_it(
    fake: KoreaiFake, home: House
) -> None:
    refused, reads = campaign(fake, 4), campaign(fake, 3)
    assert home.run(now=NOW) == 0
    fake.add_contact(reads)
    fake.faults = [
        Fault("status", f"/{refused}/", times=99, status=404),
        Fault("status", "getAll", times=99, skip=1, status=404),
    ]
    assert home.run(now=NOW + DAY) == 1
    assert [refused in told for told in held(home)] == [True]
    assert current(home, reads) == 4


def test_when_the_only_campaign_is_refused_though_it_is_listed_it_is_held(
    fake: KoreaiFake, home: House
) -> None:
    campaign(fake, 3)
    fake.faults = [Fault("status", "/status", times=99, status=404)]
    assert home.run(now=NOW) == 1
    assert len(held(home)) == 1


def test_when_the_only_configured_campaign_is_not_known_the_vendor_fails(
    house: MakeHouse, fake: KoreaiFake
) -> None:
    fake.unknown_campaign_status = 404
    home = house(fake, koreai__campaign_ids="cd-nobody")
    assert home.run(now=NOW) == 1
    assert "every campaign is refused" in home.error("koreai")


def test_when_every_campaign_is_refused_the_vendor_fails(fake: KoreaiFake, home: House) -> None:
    campaign(fake, 3), campaign(fake, 4)
    assert home.run(now=NOW) == 0
    refusal: Row = {"status": "failure", "message": "not in scope"}
    fake.rewrites = [("/status", lambda _: refusal)]
    assert home.run(now=NOW + DAY) == 1
    assert "every campaign is refused" in home.error("koreai")
    assert_holds(home, fake)


# --- check ---------------------------------------------------------------------------------------


def findings(reader: Reader, **settings: Any) -> list[Finding]:
    return list(VENDOR.probe(reader.api, Night(NOW, reader.settings | settings, {})))


def test_check_reads_a_little_of_each(fake: KoreaiFake, reader: Reader) -> None:
    assert [f.level for f in findings(reader)] == ["warning"]
    campaign_id = campaign(fake, 30)
    assert [(f.level, f.text) for f in findings(reader)] == [
        ("ok", "campaigns: 1 for voice"),
        ("ok", f"campaign_contacts: 30 in campaign {campaign_id}"),
    ]


def test_check_names_the_configured_campaign_that_is_unknown(
    fake: KoreaiFake, reader: Reader
) -> None:
    campaign_id = campaign(fake, 3)
    found = findings(reader, campaign_ids=["cd-nobody", campaign_id])
    assert [f.level for f in found] == ["failure", "ok", "ok"]
    assert "cd-nobody" in found[0].text
    assert "campaign_ids" in found[0].mend
