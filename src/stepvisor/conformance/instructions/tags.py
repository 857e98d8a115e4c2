"""Memory tagging: what makes tags, stores them and loads them.

Not LDGM, STGM and STZGM: QEMU 7.2 looks for the tags of single granules at the start of their page
(its probe_access_full without the offset in the page), and so these see what nobody wrote.
"""

from stepvisor.conformance.features import Feature
from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("COMPUTE", "MEMORY")

_MTE = Feature.MTE
_NEAR = 16
"""Of an offset that counts granules of 16 bytes."""


def _addressed(f: Fields) -> bool:
    return f["w"] != 0


COMPUTE = (
    Instruction("irg", "100 11010110 mmmmm 000100 nnnnn ddddd", None, _MTE),
    Instruction("gmi", "100 11010110 mmmmm 000101 nnnnn ddddd", None, _MTE),
    Instruction("subp subps", "10s 11010110 mmmmm 000000 nnnnn ddddd", None, _MTE),
    Instruction("addg subg", "1s0 100011 0 iiiiii 00 jjjj nnnnn ddddd", None, _MTE),
)

MEMORY = (
    Instruction(
        "stg stzg st2g stz2g",
        "11011001 oo 1 iiiiiiiii ww bbbbb nnnnn",
        _addressed,
        _MTE,
        {"i": _NEAR},
    ),
    Instruction("ldg", "11011001 01 1 iiiiiiiii 00 bbbbb ddddd", None, _MTE, {"i": _NEAR}),
    Instruction(
        "stgp", "01 101 0 0 ww 0 iiiiiii mmmmm bbbbb nnnnn", _addressed, _MTE, {"i": _NEAR}
    ),
)
