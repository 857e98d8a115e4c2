"""A guest that does nothing, for checks of the monitor alone."""

from pathlib import Path

from stepvisor.guest.image import KernelImage

__all__ = ("idle_image",)

_BRANCH_TO_SELF = (0x1400_0000).to_bytes(4, "little")
_SIZE = 2 << 20


def idle_image(name: str) -> KernelImage:
    """``b .``; `name` stands for its path in messages."""
    return KernelImage(
        data=_BRANCH_TO_SELF, text_offset=0, image_size=_SIZE, flags=0, path=Path(name), banner=""
    )
