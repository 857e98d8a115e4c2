"""What the guest and the host agree on, read from ``tests/guests/fuzz/layout.h``."""

import enum
import re
from typing import Final

import numpy as np
from bare import ROOT

__all__ = ("SITE", "SITES", "SiteFlag")

_HEADER = ROOT / "tests" / "guests" / "fuzz" / "layout.h"
_CONSTANTS: Final = {
    name: int(value, 0)
    for name, value in re.findall(
        r"^#define (\w+) (\d\w*)\b", _HEADER.read_text(encoding="utf-8"), re.MULTILINE
    )
}

SITES: Final = _CONSTANTS["SITES"]
"""Places of one vCPU that may be probed, at most."""

SITE: Final = np.dtype([(name, "<u8") for name in ("address", "entry", "flags", "begun", "ended")])
"""The guest's ``struct site``."""


class SiteFlag(enum.IntFlag):
    """What is particular about a site."""

    LOOPS = _CONSTANTS["SITE_LOOPS"]
    USER = _CONSTANTS["SITE_USER"]
    REWRITTEN = _CONSTANTS["SITE_REWRITTEN"]
    TABLE = _CONSTANTS["SITE_TABLE"]
    STACK = _CONSTANTS["SITE_STACK"]
    DATA = _CONSTANTS["SITE_DATA"]
    A32 = _CONSTANTS["SITE_A32"]
    T32 = _CONSTANTS["SITE_T32"]
