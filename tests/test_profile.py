"""`make profile` tells where the time of a run goes, by vendor and stage."""

import sys

import pytest

from pipelines import catalog
from pipelines.board import STAGES
from tests import bench_profile


def test_a_first_load_and_a_night_are_told_by_vendor_and_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["profile", "--rows", "40", "--late", "0"])
    bench_profile.main()
    lines = capsys.readouterr().out.splitlines()
    for what in ("first load", "night"):
        (number,) = (n for n, line in enumerate(lines) if line.startswith(f"{what}: "))
        assert "exit code 0" in lines[number]
        assert "publish" in lines[number]
        assert lines[number + 1].split()[2:8] == list(STAGES)
        told = [line.split()[0] for line in lines[number + 2 : number + 2 + len(catalog.NAMES)]]
        assert sorted(told) == sorted(catalog.NAMES)
