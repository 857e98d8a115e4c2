"""What is booted: kernel Images, initramfs archives and distribution kernels."""

from stepvisor.guest.distribution import GuestFiles, default_guest, fetch
from stepvisor.guest.image import KernelImage, load_image
from stepvisor.guest.initramfs import INTERACTIVE_WORD, READY_LINE, build_initramfs

__all__ = (
    "INTERACTIVE_WORD",
    "READY_LINE",
    "GuestFiles",
    "KernelImage",
    "build_initramfs",
    "default_guest",
    "fetch",
    "load_image",
)
