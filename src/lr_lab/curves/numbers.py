"""Numbers as people and programs write them."""

from __future__ import annotations

import re

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\b(?:nan|NaN|NAN|inf|Inf|INF|Infinity|infinity)\b"
_WHOLE = re.compile(rf"(?:tensor\(|np\.float\d+\()?\s*(?P<number>{NUMBER})\s*(?P<percent>%?)\s*(?:\)|,.*\))?")


def number(text: str, decimal_comma: bool = False) -> tuple[float, bool] | None:
    """The number that a cell holds and whether it carries a percent sign; None if it holds none."""
    text = text.strip().strip("\"'").strip()
    if decimal_comma and re.fullmatch(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?%?", text):
        text = text.replace(",", ".")
    found = _WHOLE.fullmatch(text)
    return (float(found["number"]), bool(found["percent"])) if found else None
