"""What is booted: kernel Images, initramfs archives and distribution kernels."""

from stepvisor.guest.image import KernelImage, load_image
from stepvisor.guest.initramfs import READY_LINE, build_initramfs

__all__ = ("READY_LINE", "KernelImage", "build_initramfs", "load_image")
