"""One client for all vendors: asking, with logins and retries, and what a reply must be.

Retries, backoff and Retry-After are dlt's (`dlt.sources.helpers.requests`). Ours is the strictness:
only the reads that a vendor module names are sent (`_gate`), redirects are refused, and a reply
that is not JSON is an error and never an empty page.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ._errors import NotTrusted, VendorError
from ._gate import Gate, http_time, rate_limited
from ._json import loads
from ._logins import Auth, Login, sendable
from ._meter import Meter
from ._said import clean, said

if TYPE_CHECKING:  # with dlt a second to import, which `outreach status` need not pay
    import requests

Decoder = Callable[[bytes], Any]
T = TypeVar("T")

ATTEMPTS = 5  # with waits of 1, 2, 4 and 8 s between them, or what Retry-After says
BREATH = 60.0  # seconds of rest when a rate limit outlasts the retries; then they begin again


@dataclass(frozen=True)
class Reply:
    """A decoded reply. `sent` numbers the requests of a vendor in the order they left."""

    body: Any
    sent: int


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
        self._headers = sendable(headers or {}) | {"Accept-Encoding": "gzip, deflate"}
        self._verify = ca_bundle or True
        self._login_urls = login_urls
        patterns = [(m, re.compile(re.escape(self.base_url) + p)) for m, p in reads]
        patterns += [("POST", re.compile(re.escape(url))) for url in login_urls]
        self.gate = Gate(
            vendor,
            patterns,
            requests_per_minute=requests_per_minute,
            max_in_flight=max_in_flight,
            meter=self.meter,
        )

    # --- asking --------------------------------------------------------------------------------

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, rank: float = 0.0, **how: Any
    ) -> Reply:
        """Where all requests that may be under way are, the one with the lowest `rank` is next."""
        self.gate.rank(rank)
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
            self.gate.rest(BREATH)
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

    @cached_property
    def _client(self) -> Any:
        return self._make_client(ATTEMPTS)

    @cached_property
    def _single(self) -> Any:
        return self._make_client(1)

    def _make_client(self, attempts: int) -> Any:
        from ._session import make_client

        return make_client(self.gate, attempts, self.max_in_flight, self._headers)

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
        except NotTrusted as error:
            raise VendorError(
                f"{_place(method, url)}: the certificate is not trusted ({_cause(error)}); set "
                f"[sources.{self.vendor}] ca_bundle to the authority's PEM file"
            ) from None
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
            is_login = url in self._login_urls
            if is_login and status == 400:  # OAuth2 has it for a wrong client
                status = 401
            mend = _mend(self.vendor, status)
            why = said(response.content, self._secrets)
            raise VendorError(
                f"{place}: HTTP {response.status_code}{f' ({why})' if why else ''}{mend}",
                status=status,
                told_to_wait="Retry-After" in response.headers,
                is_login=is_login,
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
