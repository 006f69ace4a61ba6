"""The session through which a vendor is asked: dlt's client, whose retries, backoff and Retry-After
it keeps. Imported with the first request, for dlt takes a second.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests
from dlt.sources.helpers.requests import Client
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from ._api import Api, rate_limited

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
        super().__init__(pool_maxsize=16)
        self._api = api

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its stubs list each keyword
        number = self._api.pass_gate(request)
        try:
            response = super().send(request, **kwargs)
        except requests.exceptions.SSLError as error:  # no retry would mend it
            raise self._api.not_trusted(request, error) from None
        response.sent_as = number  # type: ignore[attr-defined]  # travels with the reply
        if response.status_code in (403, 429) and (told := response.headers.get("Retry-After")):
            with suppress(InvalidHeader, ValueError, OverflowError):  # a date of the year 99999
                self._api.rest(min(Retry().parse_retry_after(told), LONGEST_WAIT))
        return response


def _worth_another_try(response: requests.Response | None, _error: BaseException | None) -> bool:
    """Replies that dlt's own rules let pass: not JSON though 200, a limit told in other words."""
    if response is None:
        return False
    start = response.content[:64].lstrip()
    no_json = response.status_code == 200 and start[:1] not in (b"{", b"[") and start != b"null"
    return no_json or rate_limited(response)
