"""The command line: `outreach`, also `python -m pipelines`.

Exit codes: 0 done; 1 a vendor failed or a list was held back, the rest is published; 2 wrong use or
configuration; 3 the audit refused; 70 a bug of ours; 74 the disk is full, or a file on it damaged;
75 another run holds the lock; 130 and 143 interrupted.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from . import catalog, memory
from . import config as configuration
from .config import Config
from .errors import AuditRefused, Busy, ConfigError, DiskTrouble, Refused

app = typer.Typer(
    name="outreach",
    help="Five outreach systems into one DuckDB warehouse, every night, correctly and once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Vendors = Annotated[list[str] | None, typer.Argument(help="vonage, avaamo, inwise, koreai, dialer")]
LogFormat = Annotated[str, typer.Option("--log-format", help="text or json, on stderr")]


@app.command()
def run(
    vendors: Vendors = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print windows and requests, touch nothing")
    ] = False,
    no_marts: Annotated[
        bool, typer.Option("--no-marts", help="raw tables only, the marts stay as they were")
    ] = False,
    accept_shrink: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-shrink", metavar="VENDOR[:CAMPAIGN]", help="take a shorter list as real"
        ),
    ] = None,
    log_format: LogFormat = "text",
) -> None:
    """Load every configured vendor (or those named) to now, build the marts, audit, publish."""
    config = _config(log_format)
    names = configuration.wanted(config, vendors or [])
    accepted = _accepted(config, accept_shrink or [])
    if dry_run:
        from .plan import print_plan

        print_plan(config, names, _now())
        return
    if not names:
        raise ConfigError(configuration.NO_VENDOR)
    from .board import Job

    _carry_out(config, Job(names, _now(), "run", accepted, marts=not no_marts))


@app.command()
def backfill(
    vendor: Annotated[str, typer.Argument(help="one vendor")],
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="first UTC day")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="the day after the last")
    ] = None,
    log_format: LogFormat = "text",
) -> None:
    """Load the UTC days [since, until) of one vendor again; the nightly cursor stays."""
    config = _config(log_format)
    configuration.wanted(config, [vendor])
    from .board import Job
    from .plan import backfill_span

    span = backfill_span(config, vendor, since, until, _now())
    _carry_out(config, Job([vendor], _now(), "backfill", span=span))


@app.command()
def check(vendors: Vendors = None, log_format: LogFormat = "text") -> None:
    """Credentials, reachability, clock, and the readings that are configuration, a line each."""
    config = _config(log_format)
    names = configuration.wanted(config, vendors or [])
    from .check import print_check

    raise typer.Exit(print_check(config, names, _now()))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    log_format: LogFormat = "text",
) -> None:
    """Per vendor and table: last good load, newest record, rows, lag, last error."""
    config = _config(log_format)
    from .status import print_status

    raise typer.Exit(print_status(config, _now(), as_json=as_json))


@app.command()
def docs(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="by default catalog beside the warehouse"),
    ] = None,
    log_format: LogFormat = "text",
) -> None:
    """The catalog of the published warehouse with its lineage, as one HTML page."""
    config = _config(log_format)
    from .docs import write_docs

    write_docs(config, out)


@app.command()
def report(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="by default [marts] report, or report.html"),
    ] = None,
    log_format: LogFormat = "text",
) -> None:
    """One self-contained HTML page: campaign results and pipeline health."""
    config = _config(log_format)
    from .report import write

    _say(f"report: {write(config, _now(), out)}")


@app.command()
def reset(vendor: Annotated[str, typer.Argument(help="one vendor")]) -> None:
    """Forget a vendor's cursor so that the next run reads its whole span again."""
    config = _config("text")
    configuration.wanted(config, [vendor])
    from .board import Board
    from .run import reset_vendor

    reset_vendor(config, vendor, Board(say=_say))
    _say(f"{vendor}: the next run reads its whole span again; no row was deleted")


# --- around the commands -------------------------------------------------------------------------


def _config(log_format: str) -> Config:
    if log_format not in ("text", "json"):
        raise ConfigError("--log-format must be text or json")
    from .show import set_up_logging

    set_up_logging(log_format)
    return configuration.load(Path.cwd())


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: str) -> None:
    typer.echo(text)


def _accepted(config: Config, words: list[str]) -> dict[str, frozenset[str]]:
    """`--accept-shrink` words by vendor; no campaign means all of them."""
    accepted: dict[str, frozenset[str]] = {}
    for word in words:
        vendor, colon, campaign = word.partition(":")
        configuration.wanted(config, [vendor], f"named by --accept-shrink {word}")
        if not any(table.kept == "history" for table in catalog.vendor(vendor).tables):
            raise ConfigError(f"--accept-shrink {word}: {vendor} has no list that could shrink")
        if colon and not campaign:
            raise ConfigError(f"--accept-shrink {word} names no campaign; all of them: {vendor}")
        accepted[vendor] = accepted.get(vendor, frozenset()) | {campaign or "*"}
    return accepted


def _carry_out(config: Config, job: Any) -> None:
    """A run with its progress on the terminal, its signals, its summary and its exit code."""
    from sources._errors import Stopped

    from .board import Board
    from .run import run
    from .show import Show

    memory.tune()
    show = Show()
    board = Board(say=show.say, slice_loaded=show.slice_loaded)
    got = _stop_on_signals(board.stop)
    try:
        with show.watching(board):
            code = run(config, job, board)
    except Stopped:
        show.interrupted(board)
        sys.stdout.flush()
        os._exit(128 + got[0])  # worker threads may sit in a slow request
    show.summary(board, config)
    raise typer.Exit(code)


def _stop_on_signals(stop: threading.Event) -> list[int]:
    """Ctrl-C and SIGTERM set `stop`; a second one, or a few seconds, ends the process at once."""
    got = [signal.SIGINT.value]

    def handler(number: int, _frame: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        got[0] = number
        stop.set()
        if "dlt" in sys.modules:
            from dlt.common.runtime import signals

            signals.set_received_signal(number)
            signals.wake_all()
        bound = threading.Timer(6, os._exit, (128 + number,))
        bound.daemon = True
        bound.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
    return got


def main() -> None:
    """Run the command; what went wrong becomes one line on stderr and an exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # until the end
    for number in (signal.SIGINT, signal.SIGTERM):  # until a run begins there is nothing to keep
        signal.signal(number, lambda got, _frame: os._exit(128 + got))
    try:
        code = _called()
    except (ConfigError, Refused) as error:
        _end(f"outreach: {error}", 2)
    except AuditRefused as error:
        _end(f"outreach: nothing was published, readers keep what they have: {error}", 3)
    except Busy as error:
        _end(f"outreach: {error}", 75)
    except DiskTrouble as error:
        _end(f"outreach: nothing was published, readers keep what they have: {error}", 74)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _end(
            f"outreach: {error.strerror or error}{where}; readers keep the warehouse as it was", 74
        )
    except Exception as error:  # noqa: BLE001  # the last resort: a bug of ours, told as such
        trace = traceback.format_exc()
        _end(f"{trace}outreach: this is a bug of ours: {type(error).__name__}", 70)
    raise SystemExit(code)


def _called() -> int:
    """The exit code of the command. Raises ConfigError where its words are none of ours."""
    try:
        return app(prog_name="outreach", standalone_mode=False) or 0
    except TyperException as error:
        said, place = error.format_message(), getattr(error, "ctx", None)
        if "\n" in said:  # the whole help, where nothing was asked for
            typer.echo(said, err=True)
            return 2
        command = place.command_path if place else "outreach"
        raise ConfigError(f"{said.rstrip('.')}; see {command} --help") from None
    except BrokenPipeError:  # whoever read our output has gone
        from .show import let_output_go

        let_output_go()
        return 1


def _end(text: str, code: int) -> NoReturn:
    from .show import is_json

    if is_json():
        logging.getLogger("outreach").error(text)
    else:
        with suppress(OSError):  # a full disk changes no exit code
            typer.echo(text, err=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
