"""What can go wrong with a vendor, in words for the person who reads the log in the morning."""

from copy import copy


class VendorError(Exception):
    """One vendor cannot be loaded further; what it loaded so far stays.

    `status` is the HTTP status where the vendor answered with one; `told_to_wait`: with a
    Retry-After; `is_login`: to a login. The text says what happened, where, and what to do; it
    never holds a secret or a value of a record.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        told_to_wait: bool = False,
        is_login: bool = False,
    ) -> None:
        super().__init__(text)
        self.status, self.told_to_wait, self.is_login = status, told_to_wait, is_login

    def at(self, place: str) -> "VendorError":
        """The same error with the place (endpoint, window) in front."""
        error = copy(self)
        error.args = (f"{place}: {self}",)
        return error.with_traceback(self.__traceback__)


class NotTrusted(Exception):
    """The vendor's certificate: no retry would mend it."""


class Stopped(Exception):
    """The run was told to end (Ctrl-C, SIGTERM); not an error of the vendor."""
