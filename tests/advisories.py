"""`make audit`: the pinned dependencies held against the published advisories.

Ends with 1 where one of them is known to be vulnerable. Where the advisories cannot be had (no way
to pypi.org from here) it says so and ends with 0: then nothing is known.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines.show import print_table

LOCK = Path(__file__).parent.parent / "requirements.lock"
PATIENCE = 300.0  # seconds; without a way out each package waits for its own timeout


def main() -> int:
    packages = _audited()
    known = [package for package in packages if "vulns" in package]
    found = [
        [package["name"], package["version"], vuln["id"], ", ".join(vuln["fix_versions"])]
        for package in known
        for vuln in package["vulns"]
    ]
    if not known:
        print("the advisories cannot be had from here: nothing was audited")
    else:
        print(f"{len(known)} of {len(packages)} pinned packages audited, {len(found)} advisories")
    if found:
        print_table(["package", "version", "advisory", "mended in"], found)
    return 1 if found else 0


def _audited() -> list[dict[str, Any]]:
    """Per package `vulns`, or `skip_reason` where there was no answer for it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip"]
        command += ["--progress-spinner", "off", "--format", "json", "--output", str(report)]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
            packages: list[dict[str, Any]] = json.loads(report.read_text())["dependencies"]
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return []
    return packages


if __name__ == "__main__":
    raise SystemExit(main())
