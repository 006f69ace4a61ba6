"""The one list of vendors. A sixth one is its module in sources/, its fake in tests/fakes/, and its
word here."""

from functools import cache
from importlib import import_module

from sources._endpoints import Vendor

from importlib.util import find_spec  # TEMP

NAMES = tuple(
    n for n in ("vonage", "avaamo", "inwise", "koreai", "dialer") if find_spec(f"sources.{n}")
)


@cache
def vendor(name: str) -> Vendor:
    """The vendor of that name; its module is imported only now."""
    found: Vendor = import_module(f"sources.{name}").VENDOR
    return found
