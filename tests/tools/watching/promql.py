"""Which metrics an expression names."""

import re

# What may stand where a metric's name may, and is none.
WORDS = set("and or unless bool offset atan2 inf nan start end".split())
STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
# In this order: strings; selectors and ranges (no name stands in them); lists of labels; numbers, with units; names.
TOKEN = re.compile(
    rf"""(?P<string>{STRING})
    | (?P<inside>\{{(?:{STRING}|[^}}"'`])*\}}|\[[^\]]*\])
    | (?P<labels>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))
    | (?P<number>\b0x[0-9a-fA-F]+\b|\b[0-9][0-9.]*(?:e[+-]?[0-9]+|[a-z]+)?\b)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?P<call>(?=\s*\()|(?=\s+(?:by|without)\b))?
    """,
    re.X,
)


def metrics(expression):
    """The names of metrics, recorded ones included. Every metric is named before its labels: `{__name__=…}` is not for us."""
    found = set()
    for token in TOKEN.finditer(expression):
        name = token["name"]
        if name and token["call"] is None and name.lower() not in WORDS:
            found.add(name)
    if "__name__" in expression:
        raise ValueError(f"names a metric by __name__: {expression}")
    return found


def faster(text, times):
    """The same with all ranges and `for`s shorter."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def shorter(found):
        left = int(found[2]) * seconds[found[3]] / times
        return f"{found[1]}{max(1, round(left))}s"

    return re.sub(r"(\[|^\s*for: )(\d+)([smhd])\b", shorter, text, flags=re.M)
