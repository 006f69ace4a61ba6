"""What the tests of the marts found, and whose rows it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import catalog, records
from .config import Config
from .warehouse import Connection

REFUSED = "refused.duckdb"  # in work_dir: the rows that failed a test, a table per test


@dataclass(frozen=True)
class Verdict:
    """A test that found rows. `vendors`: whose rows and how many; empty: no vendor's alone."""

    test: str
    severity: str  # error | warn
    text: str
    rows: int
    vendors: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.text} ({self.rows:,} rows, test {self.test})"


def verdicts(connection: Connection, config: Config, failed: Sequence[Any]) -> list[Verdict]:
    """dbt's failed tests as verdicts, also in ops.audit; the rows of errors are put aside."""
    found = [_verdict(connection, config, result) for result in failed]
    connection.execute("delete from ops.audit")
    for verdict in found:
        shares: list[tuple[str | None, int]] = [*verdict.vendors.items()]
        for vendor, rows in shares or [(None, verdict.rows)]:
            connection.execute(
                "insert into ops.audit values (?, ?, ?, ?, ?)",
                [verdict.test, verdict.severity, vendor, rows, verdict.text],
            )
    return found


def how_to_look(config: Config) -> str:
    return f"look at the rows, a table per test, with: duckdb {config.work_dir / REFUSED}"


def blamed(found: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Per vendor, the failed tests that its rows caused."""
    blame: dict[str, list[Verdict]] = {}
    for verdict in found:
        for vendor in verdict.vendors if verdict.severity == "error" else ():
            blame.setdefault(vendor, []).append(verdict)
    return blame


def _verdict(connection: Connection, config: Config, result: Any) -> Verdict:
    node = result.node
    severity = "error" if str(result.status) == "fail" else "warn"
    if severity == "error":
        records.keep_refused(connection, config.work_dir / REFUSED, node.name, node.compiled_code)
    text = " ".join((node.description or node.name.replace("_", " ")).split()).rstrip(".")
    vendors = _vendors_of(connection, node)
    return Verdict(node.name, severity, text, int(result.failures), vendors)


def _vendors_of(connection: Connection, node: Any) -> dict[str, int]:
    """Whose rows they are, by their column `vendor`; nobody's unless each row names one."""
    columns = connection.execute(f"describe {node.compiled_code}").fetchall()
    if "vendor" not in {column[0] for column in columns}:
        return {}
    counted = connection.execute(
        f"select vendor, count(*) from ({node.compiled_code}) group by vendor"
    ).fetchall()
    found = {vendor: rows for vendor, rows in counted if vendor in catalog.NAMES}
    return found if len(found) == len(counted) else {}
