"""One client for all vendors: the session, the rate limit, the login, and what may leave at all.

Retries, backoff and Retry-After are dlt's (`dlt.sources.helpers.requests`). Ours is the strictness:
only the reads that a vendor module names are sent, redirects are refused, every request (a retried
one too) takes its place in the rate limit and gets a number, and a reply that is not JSON is an
error and never an empty page.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ._errors import Stopped, VendorError
from ._json import loads
from ._meter import Meter
from ._said import clean, said
from ._slots import Slots

if TYPE_CHECKING:  # with dlt a second to import, which `outreach status` need not pay
    import requests

Decoder = Callable[[bytes], Any]
Auth = Callable[["requests.PreparedRequest"], "requests.PreparedRequest"]
T = TypeVar("T")

ATTEMPTS = 5  # with waits of 1, 2, 4 and 8 s between them, or what Retry-After says
BREATH = 60.0  # seconds of rest when a rate limit outlasts the retries; then they begin again
RATE_LIMIT_TEXT = re.compile(rb"rate.?limit|too many requests", re.IGNORECASE)
RATE_LIMIT_SAID = b"exceeded the per-minute rate limit"  # Kore.ai; the status is not documented


@dataclass(frozen=True)
class Reply:
    """A decoded reply. `sent` numbers the requests of a vendor in the order they left."""

    body: Any
    sent: int


class Login:
    """Headers from a token that is fetched when first needed and kept for its life.

    `fetch` returns the token and the epoch second at which it ends (None: not known); `headers`
    says where it goes.
    """

    def __init__(
        self,
        fetch: Callable[[], tuple[str, float | None]],
        headers: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._fetch, self._headers = fetch, headers
        self._token: str | None = None
        self._ends: float | None = None
        self._lock = threading.Lock()

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        request.headers.update(self._headers(self._current()))
        return request

    def _current(self) -> str:
        with self._lock:
            if self._token is None or (self._ends is not None and time.time() >= self._ends - 30):
                self._token, self._ends = self._fetch()
            return self._token

    def refused(self, request: "requests.PreparedRequest") -> None:
        """The vendor did not take what this request carried: log in again, once for all threads."""
        with self._lock:
            if self._token is not None and all(
                request.headers.get(name) == value
                for name, value in self._headers(self._token).items()
            ):
                self._token = None


class StaticHeaders:
    """A key that goes with every request. As requests' `auth`, so that no .netrc overrides it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = _sendable(headers)

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        request.headers.update(self._headers)
        return request


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise VendorError(f"what is set for the header {name} holds more than ASCII text")
    return dict(headers)


class Api:
    """What may be asked of one vendor.

    `reads` are the (method, path pattern) pairs that may leave, nothing else does. `secrets` are
    blotted out of every message. `requests_per_minute` and `max_in_flight` hold over all threads.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        reads: Sequence[tuple[str, str]],
        auth: Auth,
        secrets: Sequence[str],
        requests_per_minute: int,
        max_in_flight: int = 1,
        headers: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
        login_urls: Sequence[str] = (),
        meter: Meter | None = None,
    ) -> None:
        self.vendor = vendor
        self.base_url = base_url.rstrip("/")
        self.auth = auth
        self.max_in_flight = max_in_flight
        self.meter = meter or Meter()
        self.learnt: dict[str, int] = {}  # what a source found out of the vendor in this run
        self.skew: timedelta | None = None  # how far the vendor's clock is ahead of ours
        self._secrets = [s for s in secrets if s]
        self._headers = _sendable(headers or {}) | {"Accept-Encoding": "gzip, deflate"}
        self._verify = ca_bundle or True
        self._reads = [(m, re.compile(re.escape(self.base_url) + p)) for m, p in reads]
        self._reads += [("POST", re.compile(re.escape(url))) for url in login_urls]
        self._login_urls = login_urls
        from pyrate_limiter import Limiter, Rate  # as the session: `outreach status` asks nobody

        self._limiter = Limiter(Rate(requests_per_minute, 60_000))  # in any 60 seconds
        self.sent = 0  # requests that have left; each reply tells which one it answers
        self._numbering = threading.Lock()
        self.slots = Slots(max_in_flight)
        self._asking = threading.local()  # the rank of this thread's request
        self._resting_until = 0.0  # monotonic
        self.given_up = threading.Event()  # while set, what other threads still ask is not sent

    # --- asking --------------------------------------------------------------------------------

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, rank: float = 0.0, **how: Any
    ) -> Reply:
        """Where all requests that may be under way are, the one with the lowest `rank` is next."""
        self._asking.rank = rank
        return self.ask("GET", self.base_url + path, params=params, **how)

    def post(self, path: str, json: Any, params: Mapping[str, Any] | None = None) -> Reply:
        """A POST that reads: it is retried as a GET is."""
        return self.ask("POST", self.base_url + path, params=params, json=json)

    def ask(
        self,
        method: str,
        url: str,
        *,
        decode: Decoder = loads,
        auth: Auth | None = None,
        once: bool = False,
        **request: Any,
    ) -> Reply:
        """One request with its retries, and one more with a new login after a 401 or 403.

        `once` sends it a single time, whatever comes back. Raises VendorError.
        """
        client = self._single if once else self._client
        auth = auth or self.auth
        response = self._send(client, method, url, auth, request)
        if rate_limited(response) and not once:
            self.rest(BREATH)
            response = self._send(client, method, url, auth, request)
        if response.status_code in (401, 403) and isinstance(auth, Login) and not once:
            auth.refused(response.request)
            response = self._send(client, method, url, auth, request)
        return self._reply(method, url, response, decode)

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The calls' results in their order, several of them under way at a time."""
        if self.max_in_flight == 1 or len(calls) < 2:
            return [call() for call in calls]
        with ThreadPoolExecutor(self.max_in_flight) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()

    # --- the way out ---------------------------------------------------------------------------

    @contextmanager
    def gate(self, request: "requests.PreparedRequest") -> Iterator[int]:
        """The request is under way in this block. Raises unless it is one of the vendor's reads;
        waits for its turn and the rate limit."""
        with self.slots.taken(getattr(self._asking, "rank", 0.0)):
            yield self._pass(request)

    def _pass(self, request: "requests.PreparedRequest") -> int:
        url = (request.url or "").split("?")[0]
        if not any(request.method == m and p.fullmatch(url) for m, p in self._reads):
            raise VendorError(
                f"{self.vendor}: {request.method} {urlsplit(url).path} is no documented read: "
                "it was not sent"
            )
        while (left := self._resting_until - time.monotonic()) > 0:
            self._check()
            self.meter.wait(min(left, 0.5))
        self._check()
        while not self._limiter.try_acquire(self.vendor, blocking=False):
            self._check()
            self.meter.wait(0.1)
        self._check()
        with self._numbering:
            self.meter.requests += 1
            self.sent += 1
            return self.sent

    def _check(self) -> None:
        self.meter.check()
        if self.given_up.is_set():
            raise Stopped

    def rest(self, seconds: float) -> None:
        """Where one request is told to wait, those of the other threads wait with it."""
        self._resting_until = max(self._resting_until, time.monotonic() + seconds)

    def not_trusted(self, request: "requests.PreparedRequest", error: BaseException) -> VendorError:
        return VendorError(
            f"{_place(str(request.method), str(request.url))}: the certificate is not trusted "
            f"({_cause(error)}); set [sources.{self.vendor}] ca_bundle to the authority's PEM file"
        )

    @cached_property
    def _client(self) -> Any:
        return self._make_client(ATTEMPTS)

    @cached_property
    def _single(self) -> Any:
        return self._make_client(1)

    def _make_client(self, attempts: int) -> Any:
        from ._session import make_client

        return make_client(self, attempts, self._headers)

    def _send(
        self, client: Any, method: str, url: str, auth: Auth, request: dict[str, Any]
    ) -> "requests.Response":
        from requests.exceptions import RequestException

        self.meter.check()
        try:
            with self.meter.asking():
                # verify goes with each request: REQUESTS_CA_BUNDLE would beat the session's
                response: requests.Response = client.request(
                    method, url, auth=auth, allow_redirects=False, verify=self._verify, **request
                )
        except RequestException as error:
            raise VendorError(
                f"{_place(method, url)}: no complete reply ({_cause(error)}); is the address under "
                f"[sources.{self.vendor}] right, and the vendor up? The next run goes on from here"
            ) from None
        except OSError as error:  # requests says so of a CA bundle that is not there
            raise VendorError(
                f"{_place(method, url)}: a certificate bundle cannot be read; look at "
                f"[sources.{self.vendor}] ca_bundle and at REQUESTS_CA_BUNDLE ({_cause(error)})"
            ) from None
        return response

    def _reply(
        self, method: str, url: str, response: "requests.Response", decode: Decoder
    ) -> Reply:
        status = response.status_code
        place = _place(method, url)
        if 300 <= status < 400:
            raise VendorError(
                f"{place}: redirected elsewhere, which is refused; set the address that the "
                f"vendor answers at under [sources.{self.vendor}]",
                status=status,
            )
        if status != 200:
            if url in self._login_urls:
                status = 401 if status == 400 else status  # OAuth2 has 400 for a wrong client
            mend = _mend(self.vendor, status)
            why = said(response.content, self._secrets)
            raise VendorError(
                f"{place}: HTTP {response.status_code}{f' ({why})' if why else ''}{mend}",
                status=status,
                told_to_wait="Retry-After" in response.headers,
                is_login=url in self._login_urls,
            )
        try:
            body = decode(response.content)
        except ValueError:
            kind = response.headers.get("Content-Type", "nothing").split(";")[0]
            raise VendorError(
                f"{place}: the reply is not JSON but {len(response.content)} bytes of {kind}",
                status=status,
            ) from None
        if vendors := http_time(response.headers.get("Date", "")):
            self.skew = vendors - datetime.now(UTC)
        return Reply(body, getattr(response, "sent_as", 0))

    def clean(self, text: str) -> str:
        """A vendor's text made fit for a log."""
        return clean(text, self._secrets)


def rate_limited(response: "requests.Response") -> bool:
    """429, a 403 that means it, or (Kore.ai) the words alone in a reply with any status."""
    status = response.status_code
    return (
        status == 429
        or (status == 403 and "Retry-After" in response.headers)
        or (
            status in (400, 403)
            and len(response.content) < 1000
            and RATE_LIMIT_TEXT.search(response.content) is not None
        )
        or (len(response.content) < 1000 and RATE_LIMIT_SAID in response.content)
    )


def _place(method: str, url: str) -> str:
    return f"{method} {urlsplit(url).path}"


def _cause(error: BaseException) -> str:
    """The innermost cause by name: its text would hold the whole URL."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return type(error).__name__


def _mend(vendor: str, status: int) -> str:
    match status:
        case 401 | 403:
            return f"; check the credentials under [sources.{vendor}] in .dlt/secrets.toml"
        case 404:
            return f"; check the addresses and ids under [sources.{vendor}] in .dlt/config.toml"
        case 429:
            keys = "requests_per_minute or max_in_flight"
            return f"; lower [sources.{vendor}] {keys}, or run again later"
        case _ if status >= 500:
            return "; the vendor is in trouble: the next run goes on from here"
        case _:
            return ""


def http_time(text: str) -> datetime | None:
    """A time of a header; None where it is none."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):  # a date of the year 99999
        return None
