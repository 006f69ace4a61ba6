"""The configuration: `.dlt/config.toml`, `.dlt/secrets.toml`, and the environment, which wins.

Read by full path and in this one place. dlt would fill `client_secret` from a bare CLIENT_SECRET
in the environment, so dlt is never asked for a credential.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sources._endpoints import REQUIRED, Vendor
from sources._windows import parse_time

from . import catalog
from .errors import ConfigError

WAREHOUSE: Mapping[str, Any] = {
    "path": "warehouse.duckdb",
    "work_dir": ".work",
    "keep": 3,
    "must_exist": False,
    "require": [],
    "file_mode": "0440",
}
MARTS: Mapping[str, Any] = {
    "timezone": "UTC",
    "service_level_seconds": 20,
    "short_abandon_seconds": 5,
    "touch_ceiling_per_week": 7,
    "report": "",
}
EVERY_VENDOR: Mapping[str, Any] = {
    "start_date": "",
    "lookback_days": 3.0,
    "page_size": 100,
    "max_in_flight": 1,
    "requests_per_minute": 600,
    "freshness_hours": 26.0,
    "default_region": "",
    "put_aside": False,
}
LIKE = 0.75  # a mistyped vendor; other names of the environment are none of ours
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before any of these vendors
NO_VENDOR = (
    "no vendor is configured: set credentials in .dlt/secrets.toml (see .dlt/example.secrets.toml)"
)


@dataclass(frozen=True)
class Config:
    """`sources` holds the vendors that are on; `off` says of the others why.

    `regions` has the default_region of all: marts also show what a vendor now off left.
    """

    root: Path
    warehouse: Mapping[str, Any]
    marts: Mapping[str, Any]
    sources: Mapping[str, Mapping[str, Any]] = field(repr=False)
    off: Mapping[str, str]
    regions: Mapping[str, str]

    @property
    def published(self) -> Path:
        return (self.root / str(self.warehouse["path"])).resolve()

    @property
    def work_dir(self) -> Path:
        return self.root / str(self.warehouse["work_dir"])

    @property
    def file_mode(self) -> int:
        return int(str(self.warehouse["file_mode"]), 8)


def load(root: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The whole configuration, checked. Raises ConfigError."""
    given = _given(root, environ)
    warehouse = _section("warehouse", WAREHOUSE, given.pop("warehouse", {}))
    marts = _section("marts", MARTS, given.pop("marts", {}))
    _check_zone("marts", "timezone", marts["timezone"])
    _check_mode(warehouse["file_mode"])
    _check_range("warehouse", "keep", warehouse["keep"], 0, 10_000)
    _check_name(warehouse["path"])
    sources: dict[str, Mapping[str, Any]] = {}
    off: dict[str, str] = {}
    regions: dict[str, str] = {}
    given_sources = given.pop("sources", {})
    for name in set(given_sources) - set(catalog.NAMES):
        raise ConfigError(
            f"[sources.{name}] is no vendor; the vendors are {', '.join(catalog.NAMES)}"
        )
    for name in catalog.NAMES:
        vendor = catalog.vendor(name)
        values = _vendor_section(vendor, given_sources.get(name, {}))
        regions[name] = values["default_region"]
        if regions[name]:
            _check_region(f"sources.{name}", "default_region", regions[name])
        missing = [key for key in vendor.secrets if not values[key]]
        if len(missing) == len(vendor.secrets):
            off[name] = f"off: no credentials ({_names(name, missing)})"
        else:
            sources[name] = _complete(vendor, values, missing, root)
    config = Config(root, warehouse, marts, sources, off, regions)
    wanted(config, list(warehouse["require"]), "required by [warehouse] require")
    return config


def wanted(config: Config, names: list[str], why: str = "named on the command line") -> list[str]:
    """The vendors to act on: those named, or all that are on. Raises ConfigError."""
    for name in names:
        if name not in catalog.NAMES:
            raise ConfigError(f"'{name}' is no vendor; the vendors are {', '.join(catalog.NAMES)}")
        if name in config.off:
            raise ConfigError(
                f"{name} is {why} but is {config.off[name]}; "
                "set them in .dlt/secrets.toml or the environment"
            )
    return [n for n in catalog.NAMES if n in (names or config.sources)]


def _given(root: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the two files and the environment say, by section."""
    given: dict[str, Any] = {}
    for name in ("config.toml", "secrets.toml"):
        path = root / ".dlt" / name
        try:
            document = tomllib.loads(path.read_text()) if path.exists() else {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f".dlt/{name} is not valid TOML: {error}") from None
        for section in ("warehouse", "marts", "sources"):
            _merge(given.setdefault(section, {}), document.get(section, {}), section)
    for variable, value in environ.items():
        match variable.lower().split("__"):
            case ["sources", vendor, key] if vendor in catalog.NAMES:
                given["sources"].setdefault(vendor, {})[key] = value
            case ["sources", vendor, _] if meant := get_close_matches(
                vendor, catalog.NAMES, 1, LIKE
            ):
                raise ConfigError(f"{variable}: {vendor} is no vendor; is {meant[0]} meant?")
            case ["warehouse" | "marts" as section, key]:
                given[section][key] = value
    return given


def _merge(into: dict[str, Any], more: Any, section: str) -> None:
    if not isinstance(more, dict):
        raise ConfigError(f"[{section}] is a section, not a value")
    for key, value in more.items():
        if section == "sources":
            _merge(into.setdefault(key, {}), value, f"sources.{key}")
        else:
            into[key] = value


def _section(section: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for key in given:
        if key not in defaults:
            raise ConfigError(
                f"[{section}] {key} is no key that we know; there are: {', '.join(defaults)}"
            )
    return {
        key: _typed(section, key, given[key], default) if key in given else default
        for key, default in defaults.items()
    }


def _vendor_section(vendor: Vendor, given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {**EVERY_VENDOR, **vendor.defaults, **dict.fromkeys(vendor.secrets, "")}
    values = _section(f"sources.{vendor.name}", defaults, given)
    return {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}


def _complete(
    vendor: Vendor, values: dict[str, Any], missing: list[str], root: Path
) -> dict[str, Any]:
    """The settings of a vendor that is on; everything it needs is there and sane."""
    section = f"sources.{vendor.name}"
    if missing:
        raise ConfigError(
            f"{vendor.name}: some credentials are set but not {_names(vendor.name, missing)}; "
            "set them in .dlt/secrets.toml or the environment"
        )
    lacking = [key for key, value in values.items() if value is REQUIRED or value == ""]
    lacking = [key for key in lacking if vendor.defaults.get(key) is REQUIRED]
    if lacking:
        raise ConfigError(
            f"{_names(vendor.name, lacking)}: not set; {vendor.name} needs it in .dlt/config.toml"
        )
    for key in ("api_url", "token_url"):
        if key in values:
            _check_url(section, key, values[key])
    smallest, largest = vendor.page_sizes
    _check_range(section, "page_size", values["page_size"], smallest, largest)
    _check_range(section, "max_in_flight", values["max_in_flight"], 1, 32)
    _check_range(section, "requests_per_minute", values["requests_per_minute"], 1, 100_000)
    _check_range(section, "lookback_days", values["lookback_days"], 0, 3650)
    for key, choices in vendor.choices.items():
        if values[key] not in choices:
            raise ConfigError(f"[{section}] {key} must be one of {', '.join(choices)}")
    if values["start_date"]:
        _check_start(section, values["start_date"])
    if "timezone" in values:
        _check_zone(section, "timezone", values["timezone"])
    if values.get("ca_bundle"):
        values["ca_bundle"] = _file(section, "ca_bundle", root / values["ca_bundle"])
    return values


def _typed(section: str, key: str, value: Any, default: Any) -> Any:
    """A value as the type of its default; texts (of the environment) are converted."""
    if isinstance(default, bool):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        value = words.get(value.lower(), value) if isinstance(value, str) else value
        if isinstance(value, bool):
            return value
        raise ConfigError(f"[{section}] {key} must be true or false")
    if isinstance(default, int | float):
        try:
            number = type(default)(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, bool) or (value != number != float(value)):
            raise ConfigError(f"[{section}] {key} must be a number")
        return number
    if isinstance(default, list):
        items = value.strip("[]").split(",") if isinstance(value, str) else value
        if not isinstance(items, list):
            raise ConfigError(f"[{section}] {key} must be a list of texts")
        return [text for item in items if (text := str(item).strip(" \"'"))]
    if isinstance(value, dict | list):
        raise ConfigError(f"[{section}] {key} must be a text")
    return str(value)


def _names(vendor: str, keys: list[str]) -> str:
    return ", ".join(f"[sources.{vendor}] {key}" for key in keys)


def _check_url(section: str, key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is none
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"[{section}] {key} must be an address such as https://host.example")
    loopback = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    if parts.scheme == "http" and not loopback:
        raise ConfigError(f"[{section}] {key} must begin with https:// (http:// is refused)")


def _file(section: str, key: str, path: Path) -> str:
    if not path.is_file():
        raise ConfigError(f"[{section}] {key}: there is no file {path}")
    return str(path)


def _check_range(section: str, key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"[{section}] {key} must lie between {low} and {high}")


def _check_start(section: str, text: str) -> None:
    try:
        start = parse_time(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"[{section}] start_date must be a date such as 2026-01-31") from None
    if start > datetime.now(UTC):
        raise ConfigError(f"[{section}] start_date lies in the future")
    if start < EARLIEST:
        raise ConfigError(f"[{section}] start_date lies before {EARLIEST:%Y}")


def _check_zone(section: str, key: str, name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"[{section}] {key} must be a zone of the tz database such as Europe/Berlin"
        ) from None


def _check_region(section: str, key: str, code: str) -> None:
    from phonenumbers import SUPPORTED_REGIONS

    if code.upper() not in SUPPORTED_REGIONS:
        raise ConfigError(f"[{section}] {key} must be the two letters of a country such as US")


def _check_name(path: str) -> None:
    """DuckDB names the database after its file: `vonage.interactions` would be ambiguous."""
    if Path(path).stem.lower() in (*catalog.NAMES, "ops", "marts", "main"):
        raise ConfigError(
            f"[warehouse] path must not be called after a schema ({Path(path).name}); "
            "warehouse.duckdb is a good name"
        )


def _check_mode(text: Any) -> None:
    try:
        mode = int(str(text), 8)
    except ValueError:
        mode = 0
    if not mode & 0o400 or mode & 0o222:
        raise ConfigError(
            '[warehouse] file_mode must be an octal text without write permission, such as "0440"'
        )
