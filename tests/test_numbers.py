"""Phone numbers as the whole world would dial them, or none; invented ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.numbers import e164
from tests.mart_house import MartHouse


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("+1 (415) 555-0123", "", "+14155550123"),
        ("0044 20 7946 0018", "", "+442079460018"),
        ("(415) 555-0123", "us", "+14155550123"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("052-555-0123", "IL", "+972525550123"),
        ("(415) 555-0123", "", None),  # whose it is nobody knows
        ("919876543210", "", "+919876543210"),  # Kore.ai leaves the + out
        ("919876543210", "US", "+919876543210"),
        ("919876543210", "IN", "+919876543210"),
        ("72) 913-6939", "", None),
        ("125xxxx0200", "", None),
        ("+91987654XXXX", "", None),  # masked: X would be read as a 9
        ("1212555XXXX", "US", None),
        ("+1212555****", "US", None),
        ("+1 (415) 555-0123 x12", "", "+14155550123"),
        ("555-1234", "US", None),  # of which town is not told
        ("+12131204", "", None),
        ("1001", "US", None),
        ("APIRouting", "US", None),
        ("", "US", None),
        ("+", "", None),
        ("+1415555012345678", "", None),
    ],
)
def test_a_number_is_normalised_or_left_out(raw: str, region: str, expected: str | None) -> None:
    assert e164(raw, region) == expected


@given(st.text(max_size=30), st.sampled_from(["", "US", "XX", "il"]))
def test_whatever_comes_there_is_a_number_or_none(raw: str, region: str) -> None:
    found = e164(raw, region)
    assert found is None or (found[0] == "+" and found[1:].isdigit())
    if found:
        assert e164(found, "") == found


def test_a_number_is_normalised_once_and_anew_with_its_region(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    house = MartHouse(folder)
    house.add("dialer.leads", {"id": "1", "campaign_id": "c", "number": "(415) 555-0123"})
    house.build()
    assert house.sql("from ops.phone_numbers") == [("dialer", "(415) 555-0123", None)]
    house = MartHouse(folder, dialer__default_region="US")
    house.build()
    assert house.sql("from ops.phone_numbers") == [("dialer", "(415) 555-0123", "+14155550123")]
