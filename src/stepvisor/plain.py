"""Foreign text made harmless: a guest's words, symbol names, file names.

What a terminal would obey or what would make text look like other text (escape sequences, C1
controls, bidirectional overrides, invisible characters, halves of surrogate pairs) is written out
as Python writes it in a literal, a backslash and x1b or u202e.
"""

import functools
import json
import re
from typing import Final

__all__ = ("plain", "plain_bytes", "to_json")

_PRINTABLE: Final = bytes(range(ord(" "), ord("~") + 1))
_INVISIBLE: Final = re.compile(
    # Letters by their category, but without a picture: Unicode, Default_Ignorable_Code_Point.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def plain(text: str, keep: str = "") -> str:
    """Return `text` with every character that is not printable written out, but for `keep`."""
    # The quick way: a trace has millions of lines, and nearly all text is ASCII.
    if text.isascii() and not text.encode().translate(None, _PRINTABLE + keep.encode()):
        return text
    return "".join(char if char in keep else _shown(char) for char in text)


def plain_bytes(data: bytes) -> str:
    """Return `data`, which should be ASCII; bytes that are not printable are written out."""
    return plain(data.decode("ascii", "backslashreplace"))


def to_json(content: object) -> str:
    """Return one line of JSON in printable ASCII (the standard leaves DEL as it is)."""
    return json.dumps(content).replace("\x7f", "\\u007f")


@functools.lru_cache(1 << 12)
def _shown(char: str) -> str:
    if char.isprintable() and not _INVISIBLE.match(char):
        return char
    return char.encode("unicode_escape").decode("ascii")
