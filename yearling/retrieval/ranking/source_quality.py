"""How reliable the owner holds publishers to be: a table of domain and score. No list is shipped, unknown domains are neutral."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping

from yearling.errors import BadInput

NEUTRAL = 0.5
"""The score of a domain that is in no table."""
MAX_ROWS = 200_000
MAX_BYTES = 32 * 1024 * 1024
MAX_DOMAIN_CHARS = 253

_DOMAIN = re.compile(r"(?!-)[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)+")


def parse_quality_table(content: bytes) -> dict[str, float]:
    """Read a CSV of domain and score from 0 to 1, with or without a header; the last row of a domain counts.

    Raises BadInput, which names the row.
    """
    if len(content) > MAX_BYTES:
        raise _bad_table(f"The file is larger than {MAX_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad_table(f"The file is no CSV in UTF-8: {error}.") from error
    if len(rows) > MAX_ROWS:
        raise _bad_table(f"The file has more than {MAX_ROWS:,} rows.")
    table: dict[str, float] = {}
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row) or (number == 1 and row[0].strip().casefold() == "domain"):
            continue
        if len(row) < 2:
            raise _bad_table(f"Row {number} has no score.")
        try:
            table[normalise_domain(row[0])] = check_score(row[1])
        except BadInput as error:
            raise _bad_table(f"Row {number}: {error.message}") from error
    return table


def normalise_domain(text: str) -> str:
    """The domain in lower case, without `www.`. Raises BadInput for what is none."""
    domain = text.strip().casefold().removesuffix(".").removeprefix("www.")
    if len(domain) > MAX_DOMAIN_CHARS or not _DOMAIN.fullmatch(domain):
        raise BadInput(f"{text[:80]!r} is no domain.", advice="Write it without a path, such as example.org.")
    return domain


def check_score(text: str) -> float:
    """The score. Raises BadInput unless it is a number from 0 to 1."""
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise BadInput(f"{text[:40]!r} is no score.", advice="A score is a number from 0 to 1.")
    return score


def domain_quality(domain: str, table: Mapping[str, float]) -> float | None:
    """The score of a domain or of the closest domain above it, None for an unknown one."""
    labels = domain.strip().casefold().removesuffix(".").removeprefix("www.").split(".")[-16:]
    for start in range(len(labels) - 1):
        score = table.get(".".join(labels[start:]))
        if score is not None:
            return score
    return None


def _bad_table(message: str) -> BadInput:
    return BadInput(message, advice="Each row has a domain and a score from 0 to 1, such as example.org,0.8", param="file")
