"""The session through which a vendor is asked: dlt's client, whose retries, backoff and Retry-After
it keeps. Imported with the first request, for dlt takes a second.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from dlt.sources.helpers.requests import Client
from requests.adapters import HTTPAdapter

from ._api import Api, http_time, rate_limited
from ._json import looks_whole

BACKOFF = 1.0  # seconds before the first retry
TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds between two bytes of the reply
LONGEST_WAIT = 3600  # seconds of Retry-After that are obeyed


def make_client(api: Api, attempts: int, headers: Mapping[str, str]) -> Client:
    """A client whose every attempt passes `api`."""
    client = Client(
        request_timeout=TIMEOUT,
        raise_for_status=False,
        request_max_attempts=attempts,
        request_backoff_factor=BACKOFF,
        request_max_retry_delay=LONGEST_WAIT,
        retry_condition=_worth_another_try,
        session_attrs={"headers": headers},
    )
    client._adapter = _Gate(api)  # noqa: SLF001  # the one seam where every attempt passes
    return client


class _Gate(HTTPAdapter):
    """Every request passes here just before it leaves, first tries and retries alike."""

    def __init__(self, api: Api) -> None:
        super().__init__(pool_maxsize=api.max_in_flight)
        self._api = api

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its stubs list each keyword
        with self._api.gate(request) as number:
            try:
                response = super().send(request, **kwargs)
            except requests.exceptions.SSLError as error:  # no retry would mend it
                raise self._api.not_trusted(request, error) from None
            _ = response.content  # as long as it comes the request is under way
        response.sent_as = number  # type: ignore[attr-defined]  # travels with the reply
        limited = rate_limited(response)
        if limited or response.status_code == 503:
            self._api.slots.fewer(number, self._api.sent)
        elif response.status_code == 200:
            self._api.slots.went_well()
        told = _told_to_wait(response)
        if limited or (told is not None and response.status_code >= 500):
            self._api.rest(BACKOFF if told is None else told)
            if told is not None:  # waited for here, where it can be given up, and not by dlt
                response.headers["Retry-After"] = "0"
        return response


def _told_to_wait(response: requests.Response) -> float | None:
    """Seconds. Where it names a time: by the vendor's clock or ours, whichever has less to wait,
    for one of them may be wrong."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return min(float(told), LONGEST_WAIT)
    if (until := http_time(told)) is None:
        return None
    clocks = (http_time(response.headers.get("Date", "")), datetime.now(UTC))
    waits = [(until - now).total_seconds() for now in clocks if now]
    return max(0.0, min(*waits, LONGEST_WAIT))


def _worth_another_try(response: requests.Response | None, _error: BaseException | None) -> bool:
    """Replies that dlt's own rules let pass: not JSON though 200, a limit told in other words."""
    if response is None:
        return False
    return rate_limited(response) or (
        response.status_code == 200 and not looks_whole(response.content)
    )
