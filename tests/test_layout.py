"""The borders of the layout, where the linter cannot draw them."""

import re
from pathlib import Path


def importing(module: str, *folders: str) -> list[str]:
    """Files that import a module."""
    pattern = re.compile(rf"(?m)^\s*(?:import|from) {module}\b")
    files = [path for folder in folders for path in Path(folder).glob("*.py")]
    return sorted(str(path) for path in files if pattern.search(path.read_text()))


def test_duckdb_lives_in_one_module() -> None:
    assert importing("duckdb", "sources", "pipelines") == ["pipelines/warehouse.py"]


def test_sources_know_no_pipelines() -> None:
    assert importing("pipelines", "sources") == []


def test_a_source_knows_no_other_vendor() -> None:
    vendors = [p.stem for p in Path("sources").glob("[a-z]*.py")]
    for vendor in vendors:
        assert importing(rf"\.{vendor}", "sources") == []
