"""The configuration: read by full path, checked whole, mistakes told in one line."""

import re
import tomllib
from pathlib import Path

import pytest

from pipelines import catalog, config
from pipelines.errors import ConfigError
from sources._endpoints import REQUIRED

SECRETS = {"SOURCES__VONAGE__CLIENT_ID": "id", "SOURCES__VONAGE__CLIENT_SECRET": "secret"}


def write(root: Path, name: str, text: str) -> None:
    (root / ".dlt").mkdir(exist_ok=True)
    (root / ".dlt" / name).write_text(text)


def test_a_vendor_without_secrets_is_off_and_said_to_be_off(tmp_path: Path) -> None:
    loaded = config.load(tmp_path, {})
    assert set(loaded.off) == set(catalog.NAMES)
    assert "client_secret" in loaded.off["vonage"]


def test_the_environment_wins_over_the_files(tmp_path: Path) -> None:
    write(tmp_path, "config.toml", "[sources.vonage]\npage_size = 10\nstart_date = 2026-01-01\n")
    write(tmp_path, "secrets.toml", "[sources.vonage]\nclient_id = 'a'\nclient_secret = 'b'\n")
    loaded = config.load(tmp_path, {"SOURCES__VONAGE__PAGE_SIZE": "20"})
    settings = loaded.sources["vonage"]
    assert (settings["page_size"], settings["client_secret"]) == (20, "b")
    assert settings["start_date"] == "2026-01-01"


def test_a_mistyped_vendor_in_the_environment_is_told_and_others_are_not_ours(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="SOURCES__VONNAGE__PAGE_SIZE: vonnage is no"):
        config.load(tmp_path, {"SOURCES__VONNAGE__PAGE_SIZE": "20"})
    config.load(tmp_path, {"SOURCES__SQL_DATABASE__TABLE": "x"})


def test_a_bare_credential_of_the_environment_never_reaches_a_vendor(tmp_path: Path) -> None:
    bare = {"CLIENT_ID": "x", "CLIENT_SECRET": "x", "SOURCES__CLIENT_SECRET": "x", "API_KEY": "x"}
    assert config.load(tmp_path, bare).sources == {}


def test_half_set_credentials_name_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[sources.vonage\] client_secret"):
        config.load(tmp_path, {"SOURCES__VONAGE__CLIENT_ID": "id"})


MISTAKES = {
    "an unknown key": ("[sources.vonage]\npagesize = 1\n", r"\[sources.vonage\] pagesize"),
    "an unknown vendor": ("[sources.vonnage]\nclient_id = ''\n", "vonnage"),
    "no country": ("[sources.vonage]\ndefault_region = 'Germany'\n", "two letters"),
    "an unknown warehouse key": ("[warehouse]\npaht = 'x'\n", r"\[warehouse\] paht"),
    "no TOML": ("[warehouse\n", r"config\.toml is not valid TOML"),
    "a page size too large": ("[sources.vonage]\npage_size = 5001\n", "between 1 and 5000"),
    "a page size that is no number": ("[sources.vonage]\npage_size = 'many'\n", "a number"),
    "an address without TLS": ("[sources.vonage]\napi_url = 'http://a.example'\n", "https"),
    "no address": ("[sources.vonage]\napi_url = 'a.example'\n", "address"),
    "a start in the future": ("[sources.vonage]\nstart_date = '2999-01-01'\n", "future"),
    "a start before its vendor": ("[sources.vonage]\nstart_date = '0001-01-01'\n", "before 2000"),
    "a unit that is none": (
        "[sources.avaamo]\naccess_token = 't'\ntime_unit = 'm'\n",
        "one of ms, s",
    ),
    "an address that is none": ("[sources.vonage]\napi_url = 'http://[::1'\n", "api_url"),
    "fewer than no files kept": ("[warehouse]\nkeep = -1\n", "keep"),
    "a start that is no date": ("[sources.vonage]\nstart_date = 'soon'\n", "start_date"),
    "a zone that is none": ("[marts]\ntimezone = 'Mars'\n", "zone"),
    "a writable published file": ("[warehouse]\nfile_mode = '0644'\n", "file_mode"),
    "a file named like a schema": ("[warehouse]\npath = 'vonage.duckdb'\n", "schema"),
    "a required vendor that is off": ("[warehouse]\nrequire = ['dialer']\n", "dialer"),
    "no true or false": ("[warehouse]\nmust_exist = 'perhaps'\n", "true or false"),
    "a section that is a value": ("warehouse = 1\n", "section"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, what: str) -> None:
    text, words = MISTAKES[what]
    write(tmp_path, "config.toml", text)
    with pytest.raises(ConfigError, match=words) as caught:
        config.load(tmp_path, SECRETS)
    assert "\n" not in str(caught.value)


def test_what_a_vendor_needs_besides_secrets_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[sources.dialer\] api_url"):
        config.load(tmp_path, {"SOURCES__DIALER__USERNAME": "u", "SOURCES__DIALER__PASSWORD": "p"})


def test_a_pasted_key_loses_its_newline(tmp_path: Path) -> None:
    environ = SECRETS | {"SOURCES__VONAGE__CLIENT_SECRET": "secret\n"}
    assert config.load(tmp_path, environ).sources["vonage"]["client_secret"] == "secret"


def test_secrets_are_not_in_the_configurations_text(tmp_path: Path) -> None:
    environ = SECRETS | {"SOURCES__VONAGE__CLIENT_SECRET": "planted-secret"}
    assert "planted-secret" not in repr(config.load(tmp_path, environ))


def test_every_key_stands_in_the_committed_examples() -> None:
    text = Path(".dlt/config.toml").read_text()
    secrets = tomllib.loads(Path(".dlt/example.secrets.toml").read_text())["sources"]
    for section, keys in (("warehouse", config.WAREHOUSE), ("marts", config.MARTS)):
        assert keys.keys() == documented(text, section), section
    general = set(re.findall(r"\w+", text.partition("Every vendor also takes")[2].split("[s")[0]))
    assert general >= config.EVERY_VENDOR.keys()
    for name in catalog.NAMES:
        vendor = catalog.vendor(name)
        assert tuple(secrets[name]) == vendor.secrets
        own = vendor.defaults.keys() - config.EVERY_VENDOR.keys()
        needed = {key for key, value in vendor.defaults.items() if value is REQUIRED}
        assert own | needed <= documented(text, f"sources.{name}"), name
        assert documented(text, f"sources.{name}") <= vendor.defaults.keys() | {"start_date"}, name


def test_the_documented_defaults_are_the_real_ones() -> None:
    lines = Path(".dlt/config.toml").read_text()
    real = tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", lines))
    for section, defaults in (("warehouse", config.WAREHOUSE), ("marts", config.MARTS)):
        assert real[section] == dict(defaults)
    for name in catalog.NAMES:
        defaults = {**config.EVERY_VENDOR, **catalog.vendor(name).defaults}
        for key, value in real["sources"][name].items():
            assert defaults[key] in (value, REQUIRED), f"{name} {key}"


def documented(text: str, section: str) -> set[str]:
    part = text.partition(f"[{section}]")[2].partition("\n[")[0].partition("# Every vendor")[0]
    return set(re.findall(r"(?m)^#? ?(\w+) =", part))
