"""What a vendor says of an error, made fit for a log: it may quote a secret, or a person."""

import re
from collections.abc import Iterable

from ._json import loads

LONGEST = 200  # characters
# what may begin with a capital: other such words may be names
COMMON_TEXT = (
    "a access account allowed an api argument authentication authorization authorized bad "
    "body call campaign client code conflict content could credentials data date day denied "
    "does end error exceeded expired failed field forbidden format found gateway grant has "
    "header http id in internal invalid is iso it json key large length limit login long "
    "malformed max maximum message method minimum missing must no not null number of only "
    "page parameter parameters parse payload permission please process rate record request "
    "requests required resource retry scope server service session size start status the this "
    "time timeout to token too try type unable unauthorized unavailable unexpected unknown "
    "unprocessable unsupported url user utc validation value version wait window with wrong "
    "you your"
)
COMMON = frozenset(COMMON_TEXT.split())
WORD = re.compile(r"[^\W\d_]+")


def said(content: bytes, secrets: Iterable[str]) -> str:
    """The message in the body of a refusal, "" where there is none."""
    try:
        body = loads(content)
    except ValueError:
        return ""
    text = body.get("message") or body.get("error") if isinstance(body, dict) else None
    return clean(text, secrets) if isinstance(text, str) else ""


def clean(text: str, secrets: Iterable[str]) -> str:
    """Short, printable, without secrets, addresses, numbers and what may be a name: a word that
    begins with a capital, or is of a script that has none."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"\S{24,}|\S+@\S+|\+?\d[\d\s().-]{5,}\d", "***", text)
    text = WORD.sub(lambda word: word[0] if _is_common(word[0]) else "***", text)
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]", " ", text)[:LONGEST]


def _is_common(word: str) -> bool:
    """Also in lower case, and as `InvalidToken`."""
    return word[0].islower() or all(
        part.lower() in COMMON for part in re.split(r"(?<=[a-z])(?=[A-Z])", word)
    )
