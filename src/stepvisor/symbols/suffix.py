"""What compilers add to the name of a function.

A function that GCC or LLVM has changed, or made unique, keeps its entry but not its plain name:
``foo.isra.0``, ``foo.constprop.0``, ``foo.llvm.123``. Other symbols are named after a function and
are not its entry: ``foo.cold`` and ``foo.part.0`` are pieces cut out of it, ``foo.cfi_jt`` is a
branch to it in a jump table, which indirect calls take.
"""

import re
from typing import Final

__all__ = ("JUMP_STUB", "is_clone", "is_jump_stub")

_CLONE: Final = re.compile(
    r"(?:\.(?:isra|constprop|lto_priv|llvm|__uniq|specialized)(?:\.[0-9]+)?)+"
)
JUMP_STUB: Final = "cfi_jt"
"""After the last dot in the name of an entry of a jump table."""


def is_clone(name: str, plain_name: str) -> bool:
    """Whether `name` is what a compiler makes of the function `plain_name`, with its entry."""
    return name.startswith(plain_name) and _CLONE.fullmatch(name, pos=len(plain_name)) is not None


def is_jump_stub(name: str) -> bool:
    """Whether `name` is an entry of a jump table, not a function."""
    return name.endswith(f".{JUMP_STUB}")
