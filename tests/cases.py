"""What the contract suite must know of each vendor to treat them all alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes._server import Fake, Row
from tests.fakes.avaamo import AvaamoFake
from tests.fakes.dialer import DialerFake
from tests.fakes.inwise import InwiseFake
from tests.fakes.koreai import KoreaiFake
from tests.fakes.vonage import VonageFake


@dataclass(frozen=True)
class Case:
    """`table` is fed by the replies of `path`, whose rows `rows` finds; `number` is a field of them
    that holds a number, `text` one that holds a text."""

    fake: Callable[[], Fake]
    table: str
    path: str
    rows: Callable[[Any], list[Row]]
    number: str
    text: str


CASES = {
    "vonage": Case(
        VonageFake,
        "interactions",
        "/stats/interactions$",
        lambda b: b["items"],
        "duration",
        "medium",
    ),
    "avaamo": Case(
        AvaamoFake,
        "campaign_insights",
        "/campaigns/insights$",
        lambda b: b["entries"],
        "created_at",
        "delivery_status",
    ),
    "inwise": Case(
        InwiseFake, "sent_emails", "/sentEmails$", lambda b: b, "message_size", "sending_source"
    ),
    "koreai": Case(
        KoreaiFake,
        "campaign_contacts",
        "/status$",
        lambda b: b["data"]["results"],
        "numberOfAttemptsSoFar",
        "dialerOutcome",
    ),
    "dialer": Case(
        DialerFake, "leads", "/campaigns/[^/]+/leads$", lambda b: b["data"], "retries", "status"
    ),
}


def on_rows(case: Case, change: Callable[[Row], None]) -> tuple[str, Callable[[Any], Any]]:
    """A rewrite for `Fake.rewrites` that changes each row of the main replies."""

    def rewrite(body: Any) -> Any:
        for row in case.rows(body):
            change(row)
        return body

    return case.path, rewrite
