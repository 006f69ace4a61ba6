"""What is odd about inwise: paging that is not documented, local times, a feed that reads once."""

import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from pipelines import records, warehouse
from pipelines.check import print_check
from sources import _feed, _rejects
from sources._journal import Journal
from tests.fakes._server import Answer, Ask, Fault, Row
from tests.fakes.inwise import InwiseFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]
FEED = "recentActivities$"


@pytest.fixture
def fake() -> Iterator[InwiseFake]:
    with InwiseFake() as running:
        yield running


READINGS = [
    *(
        {"page_base": 1, "page_zero": zero, "beyond_last": beyond}
        for zero, beyond in itertools.product(("empty", "error400", "first"), ("empty", "repeat"))
    ),
    {"page_base": 0, "beyond_last": "empty"},
    {"page_base": 0, "beyond_last": "repeat"},
    *({"page_base": 0, "beyond_last": beyond} for beyond in ("404", "204", "null")),
    {"page_base": 1, "page_zero": "error400", "beyond_last": "404"},
    {"page_base": 0, "page_size_obeyed": False},
    {"paging": False},
    {"paging": False, "cap": 100},
    {"date_to_inclusive": False},
    {"undelivered_dates_ignored": True},
]


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_every_reading_of_the_documents_gives_every_row_once(
    house: MakeHouse, fake: InwiseFake, reading: dict[str, Any]
) -> None:
    fake.seed(260)
    for name, value in reading.items():
        setattr(fake, name, value)
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)


def test_pages_that_are_refused_behind_a_full_one_are_no_end(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.page_base, fake.beyond_last = 0, "404"
    noon = fake.now() - timedelta(days=2)
    for number in range(250):
        fake.add_sent(campaign_id=1 + number % 3, date_sent=fake.local(noon))
    home = house(fake, inwise__page_size=100)
    honest = fake.answer

    def answer(ask: Ask) -> Answer:
        refused = ask.query.get("page_index") in ("1", "2") and "campaign_id" not in ask.query
        return Answer({"message": "no such page"}, 404) if refused else honest(ask)

    fake.answer = answer  # type: ignore[method-assign]
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)


def test_a_list_of_which_only_an_empty_page_is_given_is_told(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.page_base, fake.beyond_last = 0, "404"
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    told = [text for text in home.board.vendors["inwise"].warnings if "taken as an empty" in text]
    assert len(told) == 3


def test_a_day_cut_at_the_cap_is_read_campaign_by_campaign(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.paging, fake.cap = False, 100
    noon = fake.now() - timedelta(days=2)
    for number in range(150):
        fake.add_sent(campaign_id=1 + number % 2, date_sent=fake.local(noon))
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)


@pytest.mark.parametrize("rows", [100, 1000])
def test_as_many_rows_as_a_cap_are_believed_where_more_days_give_more(
    house: MakeHouse, fake: InwiseFake, rows: int
) -> None:
    fake.paging = False
    for days, count in ((2, rows), (20, 7), (40, rows - 7)):
        for _ in range(count):
            fake.add_sent(campaign_id=1, date_sent=fake.local(fake.now() - timedelta(days=days)))
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)
    assert len(fake.asked("sentEmails$")) < 100


def test_a_week_without_pages_is_not_asked_for_in_crumbs(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.paging = False
    for hours in range(7 * 24):
        for _ in range(4):
            fake.add_sent(campaign_id=1, date_sent=fake.local(fake.now() - timedelta(hours=hours)))
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)
    assert len(fake.asked("sentEmails$")) < 80


def test_a_cut_that_no_question_can_resolve_is_an_error(house: MakeHouse, fake: InwiseFake) -> None:
    fake.paging, fake.cap = False, 100
    noon = fake.now() - timedelta(days=2)
    for _ in range(150):
        fake.add_sent(campaign_id=1, date_sent=fake.local(noon))
    home = house(fake)
    assert home.run() == 1
    assert "does not page" in home.error("inwise")
    assert "campaign 1" in home.error("inwise")


def test_a_campaign_behind_the_cap_is_found_by_its_activities(
    house: MakeHouse, fake: InwiseFake
) -> None:
    """Newest first: the cut reply shows nothing of the older campaign."""
    noon = fake.now() - timedelta(days=40)
    for campaign in (1, 2):
        for _ in range(90):
            sent = fake.add_sent(campaign_id=campaign, date_sent=fake.local(noon))
    fake.respond(fake.sent_emails[0], "emailOpened", noon)
    fake.respond(sent, "emailOpened", noon)
    fake.paging, fake.cap = False, 100
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)
    assert any("cut at" in text for text in home.board.vendors["inwise"].warnings)


def test_a_crowded_day_is_asked_for_alone_where_date_to_is_part_of_the_span(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.paging, fake.cap = False, 100
    for day in range(3, 7):
        for _ in range(60):
            at = fake.now() - timedelta(days=day)
            fake.add_sent(campaign_id=1, date_sent=fake.local(at))
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)


def test_an_unpaged_list_in_another_order_each_time_has_an_end(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(40)
    fake.paging = False
    shuffled = random.Random(1)

    def shuffle(rows: Any) -> Any:
        shuffled.shuffle(rows)
        return [row | {"row_index": number} for number, row in enumerate(rows)]

    fake.rewrites = [("sentEmails$", shuffle)]
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert home.sql("select count(*) from inwise.sent_emails") == [(len(fake.sent_emails),)]


def test_a_vendor_that_does_not_know_the_size_is_asked_without(
    house: MakeHouse, fake: InwiseFake
) -> None:
    bases: tuple[Literal[0], Literal[1]] = (0, 1)
    for base in bases:
        fake.sent_emails, fake.undelivered, fake.activities = [], [], []
        fake.seed(150)
        fake.page_base = base
        own = fake.answer

        def strict(ask: Ask, own: Any = own) -> Answer:
            return Answer({"message": "?"}, 400) if "page_size" in ask.query else own(ask)

        fake.answer = strict  # type: ignore[method-assign]
        home = house(fake, warehouse__path=f"base{base}.duckdb", warehouse__work_dir=f".w{base}")
        fake.handed_out = []
        assert home.run() == 0, home.error("inwise")
        found = home.sql("select count(*) from inwise.sent_emails")
        assert found == [(len(fake.sent_emails),)]
        fake.answer = own  # type: ignore[method-assign]


def test_both_dates_go_with_every_question(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(50)
    house(fake).run()
    lists = [ask for ask in fake.asked() if ask.path.endswith(("Emails", "livered", "activities"))]
    assert lists
    assert all({"date_from", "date_to"} <= ask.query.keys() for ask in lists)


@pytest.mark.parametrize(
    ("zone", "text", "instant"),
    [
        ("Asia/Jerusalem", "2026-07-01 13:55:00", datetime(2026, 7, 1, 10, 55, tzinfo=UTC)),
        ("Asia/Jerusalem", "2026-01-05 00:30:00", datetime(2026, 1, 4, 22, 30, tzinfo=UTC)),
        ("America/New_York", "2025-11-02 01:30:00", datetime(2025, 11, 2, 5, 30, tzinfo=UTC)),
    ],
)
def test_local_times_become_instants_and_their_text_is_kept(
    house: MakeHouse, fake: InwiseFake, zone: str, text: str, instant: datetime
) -> None:
    fake.timezone = zone
    fake.add_activity(action_date=text)
    home = house(fake, inwise__start_date="2025-10-01")
    assert home.run(now=datetime(2026, 7, 20, tzinfo=UTC)) == 0, home.error("inwise")
    assert home.sql("select action_date, action_date_text from inwise.activities") == [
        (instant, text)
    ]


def test_a_time_that_is_none_stops_the_vendor_without_telling_the_value(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(5)
    fake.rewrites = [("sentEmails$", lambda rows: [r | {"date_sent": "secret time"} for r in rows])]
    home = house(fake)
    assert home.run() == 1
    assert "date_sent" in home.error("inwise")
    assert "secret time" not in home.error("inwise")


# --- the read-once feed --------------------------------------------------------------------------


def recents(home: House) -> set[tuple[Any, ...]]:
    return set(home.sql("select id, action_type from inwise.recent_activities"))


def handed_out(fake: InwiseFake) -> set[tuple[str, str]]:
    return {(str(row["id"]), row["action_type"]) for row in fake.handed_out}


def journal_files(home: House) -> list[str]:
    folder = home.config.work_dir / "inwise_recent"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def undone(home: House) -> list[str]:
    """Replies that are in no published file yet, and requests whose reply is not made good."""
    with warehouse.reading(home.config.published) as connection:
        states = records.vendor_states(connection, "inwise")
    loaded = states.get("recent_activities", {}).get("loaded", [])
    done = {*loaded, *states.get("lost_activities", {}).get("healed", [])}
    names = [name for name in journal_files(home) if not name.endswith(".unreadable")]
    return [name for name in names if Path(name).stem not in done]


def test_an_older_published_file_gets_its_replies_back(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(30)
    home = house(fake)
    home.run()
    older = home.root / "older.duckdb"
    shutil.copyfile(home.config.published, older)
    fake.change()
    home.run()
    older.replace(home.config.published)
    assert home.run() == 0
    assert recents(home) == handed_out(fake)


def test_old_replies_are_deleted(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(20)
    home = house(fake)
    home.run()
    first = set(journal_files(home))
    home.run(now=fake.now() + timedelta(days=20))
    assert first.isdisjoint(journal_files(home))


def test_the_feed_is_drained_however_little_a_call_gives(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(60)
    fake.recent_cap = 7
    home = house(fake)
    assert home.run() == 0
    assert len(handed_out(fake)) > 7
    assert recents(home) == handed_out(fake)
    assert undone(home) == []


def test_rows_of_the_feed_are_never_deleted(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(40)
    home = house(fake)
    home.run()
    before = recents(home)
    for _ in range(2):
        fake.change()
        home.run()
    assert before < recents(home) == handed_out(fake)


def test_the_feed_can_be_left_to_somebody_else(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(20)
    home = house(fake, inwise__read_recent="false")
    assert home.run() == 0
    assert fake.asked(FEED) == []
    assert_holds(home, fake)


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_a_reply_lost_on_the_wire_is_made_good_from_activities(
    house: MakeHouse, fake: InwiseFake, kind: Any
) -> None:
    fake.seed(40)
    home = house(fake)
    home.run()
    old = fake.local(fake.now() - timedelta(days=60))
    fake.add_activity(action_date=old, action_type="emailClicked")
    fake.faults = [Fault(kind, path=FEED)]
    assert home.run() == 1
    assert "recentActivities" in home.error("inwise")
    assert len(fake.asked(FEED)) == 3, "the feed is never asked again after a lost reply"
    assert any(name.endswith(".intent") for name in journal_files(home))
    assert home.run() == 0, home.error("inwise")
    assert_table_of_activities(home, fake)
    assert undone(home) == []
    with fake.counting() as asks:
        home.run()
    assert len(asks) < 30, "activities are read from start_date once, not every night"


def assert_table_of_activities(home: House, fake: InwiseFake) -> None:
    found = set(home.sql("select id, action_type from inwise.activities"))
    assert found == {(str(row["id"]), row["action_type"]) for row in fake.activities}


def test_a_reply_that_cannot_be_read_is_kept_aside_and_made_good(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(20)
    fake.faults = [Fault("html", path=FEED)]
    home = house(fake)
    assert home.run() == 1
    assert any(name.endswith(".unreadable") for name in journal_files(home))
    assert home.run() == 0, home.error("inwise")
    assert_holds(home, fake)


def test_a_reply_of_the_feed_with_a_bad_record_waits_until_it_is_put_aside(
    house: MakeHouse, fake: InwiseFake
) -> None:
    """The vendor gives it once. What comes behind it is loaded, and stays the newest."""
    home = house(fake)
    changed, bad = (fake.add_activity(action_type=kind) for kind in ("emailOpened", "emailClicked"))
    newer = changed | {"remarks": "newer"}
    replies = [[changed, bad | {"ip": ["1", "2"]}], [newer], []]
    fake.rewrites = [(FEED, lambda _rows: replies.pop(0) if replies else [])]
    remarks = "select id, remarks from inwise.recent_activities"
    for _ in range(2):
        assert home.run() == 1
        (told,) = home.board.vendors["inwise"].held
        assert "recent_activities.ip" in told
        assert "put_aside = true" in told
        assert home.sql(remarks) == [(str(changed["id"]), "newer")]
    home.settings["inwise__put_aside"] = True
    assert home.run() == 0, home.error("inwise")
    assert home.sql(remarks) == [(str(changed["id"]), "newer")]
    (rejected,) = home.sql("select key::varchar from ops.rejected")
    assert str(bad["id"]) in rejected[0]
    assert undone(home) == []


def two_spellings(rows: list[Row]) -> list[Row]:
    """Each row makes a table, all of them make none."""
    return [row | {"newField" if n else "new_field": "x"} for n, row in enumerate(rows)]


def all_bad(rows: list[Row]) -> list[Row]:
    return [row | {"ip": ["1", "2"]} for row in rows]


@pytest.mark.parametrize("poison", [two_spellings, all_bad])
def test_a_reply_with_more_bad_records_than_are_put_aside_is_made_good_from_activities(
    house: MakeHouse, fake: InwiseFake, monkeypatch: pytest.MonkeyPatch, poison: Any
) -> None:
    monkeypatch.setattr(_rejects, "MOST_ROWS", 3)
    fake.seed(20)
    home = house(fake, inwise__put_aside=True)
    fake.rewrites = [(FEED, poison)]
    stopped = home.run() == 1
    assert stopped == ("set aside" in home.error("inwise"))
    assert stopped or poison is two_spellings  # of which one may be put aside
    before = handed_out(fake)
    fake.rewrites = []
    for _ in range(2):
        fake.change()
        assert home.run() == 0, home.error("inwise")
    since = handed_out(fake) - before
    assert since
    assert since <= recents(home)
    assert_table_of_activities(home, fake)
    assert undone(home) == []
    assert home.sql("select count(*) > 0 from inwise.activities_summary") == [(True,)]


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, "null")])
def test_a_feed_that_says_nothing_has_nothing_to_give(
    house: MakeHouse, fake: InwiseFake, status: int, body: str
) -> None:
    fake.seed(20)
    fake.faults = [Fault("status", FEED, status=status, body=body, times=2)]
    home = house(fake)
    for _ in range(3):
        assert home.run() == 0, home.error("inwise")
        assert undone(home) == []
    assert_holds(home, fake)


def test_where_the_feed_is_refused_the_summaries_are_still_observed(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(20)
    fake.faults = [Fault("status", FEED, status=404)]
    home = house(fake)
    assert home.run() == 1
    assert "read_recent = false" in home.error("inwise")
    assert home.sql("select count(*) > 0 from inwise.activities_summary") == [(True,)]


def test_a_feed_that_never_ends_is_left_for_the_next_night(
    house: MakeHouse, fake: InwiseFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_feed, "MOST_CALLS", 5)
    numbers = itertools.count(1)
    fake.rewrites = [
        (FEED, lambda _rows: [{"id": next(numbers), "action_type": "emailOpened"}]),
    ]
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert len(recents(home)) == 5


def test_a_refusal_gives_nothing_out_and_is_asked_again(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(20)
    fake.faults = [Fault("status", path=FEED, status=429, times=2)]
    home = house(fake)
    assert home.run() == 0, home.error("inwise")
    assert recents(home) == handed_out(fake)
    assert undone(home) == []


def test_a_reply_on_disk_is_loaded_by_the_next_run(house: MakeHouse, fake: InwiseFake) -> None:
    fake.seed(10)
    home = house(fake)
    home.run()
    journal = Journal(home.config.work_dir / "inwise_recent")
    name = journal.intend(datetime.now(UTC), 0)
    journal.keep(name, b'[{"id": 5, "action_type": "emailOpened", "contact_id": 2}]')
    assert home.run() == 0
    assert ("5", "emailOpened") in recents(home)
    assert undone(home) == []


def test_neither_a_dry_run_nor_a_backfill_calls_the_feed(
    house: MakeHouse, fake: InwiseFake
) -> None:
    fake.seed(30)
    home = house(fake)
    now = datetime.now(UTC)
    assert home.backfill("inwise", now - timedelta(days=20), now) == 0
    assert fake.asked(FEED) == []
    assert fake.asked("activities$") != []


# --- the vendor's own summary --------------------------------------------------------------------


def test_a_summary_is_kept_per_campaign_and_day(house: MakeHouse, fake: InwiseFake) -> None:
    fake.add_sent(campaign_id=1, date_sent=fake.local(fake.now() - timedelta(days=1)))
    fake.add_sent(campaign_id=2, date_sent=fake.local(fake.now() - timedelta(days=40)))
    home = house(fake)
    now = datetime.now(UTC)
    home.run(now=now)
    fake.add_sent(campaign_id=1, date_sent=fake.local(fake.now() - timedelta(hours=1)))
    home.run(now=now)
    home.run(now=now + timedelta(days=1))
    rows = home.sql(
        "select campaign_id, observed_on, sent from inwise.activities_summary order by 2"
    )
    assert rows == [("1", now.date(), 2), ("1", now.date() + timedelta(days=1), 2)]


# --- check ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["soon", 5, 0, [], "0001-01-01 00:00:00"])
def test_check_names_the_field_that_holds_no_time(
    house: MakeHouse, fake: InwiseFake, capsys: pytest.CaptureFixture[str], time: Any
) -> None:
    """Beside sound rows and one without a time, which a table takes."""
    for _ in range(3):
        fake.add_sent(date_sent=fake.local(fake.now()))
    odd = [{}, {"date_sent": None}, {"date_sent": time}]
    fake.rewrites = [
        ("sentEmails$", lambda rows: [row | more for row, more in zip(rows, odd, strict=True)])
    ]
    home = house(fake)
    assert print_check(home.config, ["inwise"], datetime.now(UTC)) == 1
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    failures = [line for line in told if line.startswith("failure")]
    assert len(failures) == 1
    assert failures[0].startswith(
        "failure inwise sent_emails: in 1 of today's 3 rows 'date_sent' is no time -> "
    )
    assert "ok inwise activities: 0 of today's rows" in told
