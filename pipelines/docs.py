"""`outreach docs`: the catalog of the published warehouse with its lineage, as one HTML page."""

import re
import shutil
from pathlib import Path

from . import marts, warehouse
from .config import Config
from .errors import ConfigError
from .show import Show

# dbt's page as it is, but for what a browser would miss, ask the network for, or cut short.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
CHANGES = {
    re.escape('<meta charset="utf-8">'): (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    ),
    re.escape("<title>dbt Docs</title>"): "<title>outreach-warehouse</title>",
    re.escape("${require('./assets/favicons/favicon.ico')}"): "data:,",
    r'url\("\.\./[^"]*"\)': "none",  # fonts and a picture that dbt leaves out
    re.escape("//d1fc8wv8zag5ca.cloudfront.net/2.9.0/sp.js"): "data:,",  # a tracker, switched off
    re.escape('xlink:href="{{'): 'ng-attr-href="{{',  # or it is fetched before it is filled in
    r'style="text-overflow: ellipsis;[^"]*max-width: 1px;"': 'style="min-width: 20em"',
}


def write_docs(config: Config, out: Path | None) -> None:
    """dbt's own catalog of the published file, which is only read, into `out`/index.html."""
    with warehouse.reading_published(config) as connection:
        there = len(warehouse.tables_in(connection, "marts"))
    folder = (out or config.published.parent / "catalog").absolute()  # dbt has a folder of its own
    page = folder / "index.html"
    scratch = folder / ".part"  # what a killed one left is taken away by the next
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}); name another folder with --out"
        ) from None
    try:
        part = scratch / page.name
        part.write_text(_page(config, scratch), encoding="utf-8")
        part.replace(page)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    built = f"{there} marts" if there else "no marts yet (`outreach run` builds them)"
    Show().say(f"catalog of {config.published.name}, {built}: {page}")


def _page(config: Config, scratch: Path) -> str:
    page = _by_dbt(config, scratch).replace(f"{scratch}/", "")
    for pattern, instead in CHANGES.items():
        page, found = re.subn(pattern, instead, page)
        if not found:
            raise LookupError(f"dbt's page of documentation has no {pattern}")
    return page


def _by_dbt(config: Config, scratch: Path) -> str:
    """The page as dbt makes it, with all that it needs in it."""
    arguments = marts.dbt_arguments(config, config.published)
    arguments += ["--target", "published"]
    arguments += ["--target-path", str(scratch), "--log-path", str(scratch)]  # the last one counts
    with marts.dbt_runner() as new_runner:
        outcome = new_runner().invoke([*marts.SILENCE, "docs", "generate", "--static", *arguments])
    if not outcome.success:
        raise RuntimeError("dbt cannot make its documentation") from outcome.exception
    return (scratch / "static_index.html").read_text(encoding="utf-8")
