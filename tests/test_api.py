"""The way out: nothing but the documented reads, in their places in the rate limit."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest
from pyrate_limiter import Limiter, Rate

from pipelines import catalog
from sources._api import Api
from sources._errors import Stopped, VendorError
from sources._logins import Login, StaticHeaders
from sources._meter import Meter
from tests.cases import CASES
from tests.fakes._server import Answer, Ask, Fake, Fault


class Plain(Fake):
    """Answers every request with the token that came."""

    vendor: ClassVar[str] = "plain"

    def answer(self, ask: Ask) -> Answer:
        return Answer({"token": ask.headers.get("authorization")})


@pytest.fixture
def server() -> Iterator[Plain]:
    with Plain() as running:
        yield running


def connect(server: Fake, **how: Any) -> Api:
    settings: dict[str, Any] = {
        "reads": [("GET", "/read"), ("POST", "/search")],
        "auth": StaticHeaders({"Authorization": "key"}),
        "secrets": ["a-secret"],
        "requests_per_minute": 6000,
        **how,
    }
    return Api("plain", server.url, **settings)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/other"), ("POST", "/read"), ("DELETE", "/read"), ("GET", "/read/more")],
)
def test_what_is_no_documented_read_does_not_leave(server: Plain, method: str, path: str) -> None:
    with pytest.raises(VendorError, match="not sent"):
        connect(server).ask(method, server.url + path)
    assert server.seen == []


WRITES = {
    "dialer": [
        ("PUT", "/api/v2/config/campaigns/1/lead"),
        ("POST", "/api/v2/config/campaigns/leads/1/status/new"),
        ("DELETE", "/api/v2/config/campaigns/leads/1"),
        ("PUT", "/api/v2/config/campaigns/call/1/disposition/voicemail"),
        ("POST", "/api/v2/config/campaigns/1/leads"),
    ],
    "koreai": [
        ("PUT", "/1"),
        ("POST", "/1"),
        ("POST", "/1/start"),
        ("POST", "/1/stop"),
        ("POST", "/a/b/status"),
    ],
    "vonage": [("POST", "/stats/interactions"), ("DELETE", "/stats/interactions")],
    "avaamo": [("POST", "/api/v2/campaigns/insights"), ("POST", "/custom/v1/status")],
    "inwise": [("POST", "/contacts"), ("POST", "/campaigns/email/activities")],
}


@pytest.mark.parametrize("name", catalog.NAMES)
def test_no_vendor_can_be_written_to(name: str) -> None:
    vendor = catalog.vendor(name)
    with CASES[name].fake() as fake:
        defaults = {"requests_per_minute": 600, "max_in_flight": 1, "ca_bundle": ""}
        api = vendor.connect({**defaults, **vendor.defaults, **fake.settings()}, Meter())
        for method, path in WRITES[name]:
            with pytest.raises(VendorError, match="not sent"):
                api.ask(method, api.base_url + path, auth=StaticHeaders({}))
        assert fake.seen == []


def test_a_token_is_fetched_once_and_again_only_when_refused(server: Plain) -> None:
    tokens = iter(["first", "second"])
    login = Login(lambda: (next(tokens), None), lambda t: {"Authorization": t})
    api = connect(server, auth=login)
    assert [api.get("/read").body["token"] for _ in range(3)] == ["first"] * 3
    server.faults = [Fault("status", status=401)]
    assert api.get("/read").body["token"] == "second"


def test_a_token_is_renewed_before_it_ends(server: Plain) -> None:
    tokens = iter([("old", time.time() + 10), ("new", time.time() + 1000)])
    api = connect(server, auth=Login(lambda: next(tokens), lambda t: {"Authorization": t}))
    assert [api.get("/read").body["token"] for _ in range(2)] == ["old", "new"]


def test_a_login_refused_for_good_is_an_error_that_names_the_credentials(server: Plain) -> None:
    login = Login(lambda: ("token", None), lambda t: {"Authorization": t})
    server.faults = [Fault("status", status=401, times=5)]
    with pytest.raises(VendorError, match=r"HTTP 401.*\[sources.plain\]") as caught:
        connect(server, auth=login).get("/read")
    assert caught.value.status == 401
    assert len(server.seen) == 2


def test_the_rate_limit_holds_over_threads_and_shows_that_it_waits(server: Plain) -> None:
    meter = Meter()
    api = connect(server, requests_per_minute=600, meter=meter, max_in_flight=4)
    api.gate._limiter = Limiter(Rate(5, 400))  # the same bucket, in less time
    waited = []
    watcher = threading.Thread(target=lambda: waited.append(saw(lambda: meter.waiting)))
    watcher.start()
    started = time.monotonic()
    api.together([lambda: api.get("/read")] * 12)
    assert time.monotonic() - started > 0.7
    watcher.join()
    assert waited == [True]
    assert meter.requests == 12


def test_where_one_request_is_told_to_wait_the_others_wait_with_it(server: Plain) -> None:
    fault = Fault("status", status=429, headers={"Retry-After": "1"}, times=1)
    server.faults = [fault]
    answered: list[float] = []

    def clocked(body: Any) -> Any:
        answered.append(time.monotonic())
        return body

    server.rewrites = [("/read", clocked)]
    server.latency = 0.1
    api = connect(server, max_in_flight=3)
    started = time.monotonic()
    api.together([lambda: api.get("/read")] * 12)
    assert fault.hits == 1
    assert len(answered) == 12
    # but for those that were under way when it was heard
    assert len([at for at in answered if at < started + 1]) <= 6


def saw(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


def test_replies_are_numbered_in_the_order_their_requests_left(server: Plain) -> None:
    api = connect(server, max_in_flight=4)
    replies = api.together([lambda: api.get("/read")] * 20)
    assert sorted(reply.sent for reply in replies) == list(range(1, 21))


def test_stop_ends_requests_and_waits(server: Plain) -> None:
    meter = Meter()
    api = connect(server, meter=meter)
    meter.stop.set()
    with pytest.raises(Stopped):
        api.get("/read")
    with pytest.raises(Stopped):
        meter.wait(60)
    assert server.seen == []


@pytest.mark.parametrize(
    "answer",
    [
        Fault("status", status=429, headers={"Retry-After": "1"}),
        Fault("status", status=403, headers={"Retry-After": "1"}),
        Fault("status", status=403, body={"message": "rate limit exceeded"}),
        Fault("status", status=200, body={"message": "exceeded the per-minute rate limit"}),
        Fault("status", status=503),
    ],
)
def test_a_limit_in_any_words_is_waited_for(server: Plain, answer: Fault) -> None:
    server.faults = [answer]
    assert connect(server).get("/read").body == {"token": "key"}


def test_a_time_to_wait_for_is_a_time_of_the_vendors_clock(server: Plain) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=9)
    server.now = lambda: ahead
    until = format_datetime(ahead + timedelta(seconds=1), usegmt=True)
    server.faults = [Fault("status", status=429, headers={"Retry-After": until})]
    started = time.monotonic()
    assert connect(server).get("/read").body == {"token": "key"}
    assert 0.5 < time.monotonic() - started < 60


def test_a_login_refused_with_400_names_the_credentials(server: Plain) -> None:
    server.faults = [Fault("status", status=400, body={"error": "invalid_client"})]
    login = f"{server.url}/login"
    api = connect(server, login_urls=[login])
    with pytest.raises(VendorError, match=r"HTTP 400 \(invalid_client\); check the cred") as told:
        api.ask("POST", login)
    assert (told.value.status, told.value.is_login) == (401, True)


def test_a_request_sent_once_is_sent_once(server: Plain) -> None:
    for kind in ("reset", "cut", "cut unsized", "html", "status"):
        server.faults = [Fault(kind, times=9)]
        seen = len(server.seen)
        with pytest.raises(VendorError):
            connect(server).get("/read", once=True)
        assert len(server.seen) == seen + 1


def test_a_vendors_text_is_cleaned_before_it_is_shown(server: Plain) -> None:
    text = "\x1b[31mno a-secret for anna@example.com at +1 555 010 0123 <b>" + "x" * 40
    text += ". Invalid lead: Bea Example, EXAMPLE, דוגמה. InvalidToken, Bad Gateway"
    server.faults = [Fault("status", status=400, body={"message": text}, times=9)]
    with pytest.raises(VendorError) as caught:
        connect(server).get("/read")
    shown = str(caught.value)
    assert "HTTP 400" in shown
    for hidden in ("a-secret", "anna", "555", "\x1b", "xxx", "Bea", "xample", "EXAMPLE", "דוגמה"):
        assert hidden not in shown
    assert "Invalid lead: *** ***, ***, ***. InvalidToken, Bad Gateway" in shown


def test_a_key_that_no_header_can_hold_is_told_and_not_shown() -> None:
    with pytest.raises(VendorError, match="X-API-Key holds more than ASCII") as told:
        StaticHeaders({"X-API-Key": "schlüssel"})
    assert "schl" not in str(told.value)


def test_a_key_is_not_replaced_by_a_netrc(
    server: Plain, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert connect(server).get("/read").body == {"token": "key"}
