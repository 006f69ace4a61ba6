"""The one list of vendors. A sixth one is its module in sources/, its fake in tests/fakes/, and its
word here."""

from functools import cache
from importlib import import_module

from sources._endpoints import Vendor

NAMES = ("vonage", "avaamo", "inwise", "koreai", "dialer")


@cache
def vendor(name: str) -> Vendor:
    """The vendor of that name; its module is imported only now."""
    found: Vendor = import_module(f"sources.{name}").VENDOR
    return found
