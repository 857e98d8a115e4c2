"""What a guest prints, without what would drive the user's terminal.

Sequences are those of ECMA-48. Colours, moves within the line and erasing to the right or to the
end of the screen stay, so that a shell's line editor works. Other control sequences are left out;
what is neither a control sequence nor printable is written out.
"""

import codecs
import re
from typing import Final

from stepvisor.plain import plain

__all__ = ("ConsoleFilter",)

_KEPT: Final = "\n\r\t\b"
_BELL: Final = "\a"
_RESET: Final = "\x1b[0m"
_LONGEST: Final = 64
"""Characters of a control sequence; what is longer is none."""
_SEQUENCE: Final = re.compile(r"\x1b\[([0-?]*[ -/]*[@-~])")
_UNFINISHED: Final = re.compile(rf"\x1b(?:\[[0-?]{{0,{_LONGEST}}}[ -/]{{0,{_LONGEST}}})?\Z")
_STYLE: Final = r"(?:0?[0-13-4]|7|2[2-47]|[349][0-7]|[34]9|10[0-7]|[34]8;5;[0-9]{1,3})?"
_HARMLESS: Final = re.compile(rf"[0-9]{{0,3}}[CDK]|0?J|{_STYLE}(?:;{_STYLE}){{0,7}}m")


class ConsoleFilter:
    """Takes bytes as they come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""
        self._styled = False

    def feed(self, data: bytes) -> str:
        """What of `data`, and of what was held back before it, may be shown now."""
        text = self._held + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished.group() if unfinished else ""
        return self._filter(text.removesuffix(self._held) if self._held else text)

    def finish(self) -> str:
        """What was held back, and the terminal's own colours again."""
        rest = self._filter(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        return rest + _RESET if self._styled else rest

    def _filter(self, text: str) -> str:
        # Between two sequences is plain text; every second part is what a sequence says.
        parts = _SEQUENCE.split(text)
        shown = [plain(part.replace(_BELL, ""), _KEPT) for part in parts[::2]]
        kept = [f"\x1b[{part}" if _HARMLESS.fullmatch(part) else "" for part in parts[1::2]]
        self._styled = self._styled or any(sequence.endswith("m") for sequence in kept)
        return "".join(one for pair in zip(shown, [*kept, ""], strict=True) for one in pair)
