"""Phone numbers as E.164: each distinct one once, so that the marts' SQL stays plain."""

import re
from collections.abc import Mapping
from typing import Any

from .warehouse import Connection

# Where the number of the person at the other end stands.
NUMBERS: Mapping[str, Mapping[str, str]] = {
    "vonage": {"interactions": "if(lower(trim(direction)) = 'outbound', connect_to, connect_from)"},
    "avaamo": {"campaign_insights": "to_phone"},
    "koreai": {"campaign_contacts": "phone_number"},
    "dialer": {"leads": "number", "lead_history": "lead_number"},
}
DIALLED = r"[^@]*\d[^@]*"  # Vonage has addresses of every kind in the same field
LONGER_THAN_NATIONAL = 11  # digits
MASKED = re.compile(r"[xX*#•]{2,}")  # a lone x is an extension, and phonenumbers reads X as a 9


def normalise(
    connection: Connection, regions: Mapping[str, str], through: Mapping[str, str]
) -> None:
    """Every number not seen before, as E.164 or null, into ops.phone_numbers.

    `regions` gives per vendor where its numbers without a country code belong, "" for unknown;
    `through` the load up to which its numbers are there already.
    """
    import pyarrow as pa

    for vendor, columns in NUMBERS.items():
        for table, number in columns.items():
            found = connection.execute(
                f'select distinct {number} from "{vendor}"."{table}" '  # noqa: S608  # names of ours
                f"where regexp_full_match({number}, '{DIALLED}') and _dlt_load_id > ? except "
                "select raw_number from ops.phone_numbers where vendor = ?",
                [through.get(vendor, ""), vendor],
            ).fetchall()
            raw = [text for (text,) in found]
            batch = pa.table(
                {
                    "vendor": pa.array([vendor] * len(raw), pa.string()),
                    "raw_number": pa.array(raw, pa.string()),
                    "e164": pa.array([e164(text, regions[vendor]) for text in raw], pa.string()),
                }
            )
            connection.register("new_numbers", batch)
            connection.execute("insert into ops.phone_numbers select * from new_numbers")
            connection.unregister("new_numbers")


def e164(raw: str, region: str) -> str | None:
    """A phone number as the whole world would dial it; None where that cannot be known.

    `region` (such as "US") is where a number without a country code belongs. A possible number is
    enough: whether it is in use nobody but its operator knows. One without its area is none, nor is
    one whose digits the vendor has masked. Kore.ai leaves the + out: digits too long for a national
    number are read with it, if they are a valid number then.
    """
    import phonenumbers

    text = raw.strip()
    if MASKED.search(text):
        return None
    if text.startswith("00"):
        text = f"+{text[2:]}"
    number = _parsed(text, region)
    if number is None and text.isascii() and text.isdigit() and len(text) >= LONGER_THAN_NATIONAL:
        number = _parsed(f"+{text}", region)
        if number is not None and not phonenumbers.is_valid_number(number):
            number = None
    if number is None:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _parsed(text: str, region: str) -> Any:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    found = phonenumbers.is_possible_number_with_reason(number)
    return number if found == phonenumbers.ValidationResult.IS_POSSIBLE else None
