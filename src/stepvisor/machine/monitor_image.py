"""Where the monitor's image is.

An installed wheel carries it as package data; in a source tree `make el2` builds it.
"""

from pathlib import Path

from stepvisor.errors import SetupError

__all__ = ("find_monitor_image",)

_PACKAGE = Path(__file__).resolve().parent.parent


def find_monitor_image(package: Path = _PACKAGE) -> Path:
    """Path of `monitor.bin` for the package at `package`. Raises SetupError."""
    packaged = package / "_monitor" / "monitor.bin"
    built = package.parent.parent / "build" / "el2" / "monitor.bin"
    for candidate in (packaged, built):
        if candidate.is_file():
            return candidate
    raise SetupError(
        f"the EL2 monitor is missing: neither {packaged} nor {built} exists; run `make el2` in the "
        "source tree, or install the package again"
    )
