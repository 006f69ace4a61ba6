"""What a request carries to be let in: a token that is fetched, or a key that never changes."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ._errors import VendorError

if TYPE_CHECKING:  # with dlt a second to import, which `outreach status` need not pay
    import requests

Auth = Callable[["requests.PreparedRequest"], "requests.PreparedRequest"]


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
        self._headers = sendable(headers)

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        request.headers.update(self._headers)
        return request


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise VendorError(f"what is set for the header {name} holds more than ASCII text")
    return dict(headers)
