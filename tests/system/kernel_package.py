"""Debian's packages of kernels: a kernel and, out of the same package, its modules."""

import lzma
import shutil
from pathlib import Path

from stepvisor.guest.apt import AptArchive
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.cache import cache_directory, locked, scratch_directory
from stepvisor.guest.distribution import FLAVOURS, RELEASES, fetch
from stepvisor.guest.image import KernelImage, parse_image
from stepvisor.guest.initramfs import build_initramfs

__all__ = ("KernelPackage",)


class KernelPackage:
    """The kernel for virtual machines of one release, kept in the user's cache."""

    def __init__(self, release: str) -> None:
        self._path = _package(release)

    def kernel(self) -> KernelImage:
        name = r"boot/vmlinuz-.*|usr/lib/modules/[^/]+/vmlinuz"
        return parse_image(extract_from_deb(self._path, name), self._path)

    def module(self, name: str) -> bytes:
        """The file of a module, unpacked: the guest's insmod takes no other."""
        data = extract_from_deb(self._path, rf"(usr/)?lib/modules/.*/{name}\.ko(\.xz)?")
        return lzma.decompress(data) if data.startswith(b"\xfd7zXZ\0") else data

    def initrd(self, *modules: str) -> bytes:
        """Our initramfs with modules in its root directory."""
        files = {f"{name}.ko": self.module(name) for name in modules}
        return build_initramfs(fetch().busybox.read_bytes(), files)


def _package(release: str) -> Path:
    directory = cache_directory() / "tests" / "packages" / release
    with locked(directory, lambda: None):
        found = sorted(directory.glob("*.deb"))
        return found[-1] if found else _download(release, directory)


def _download(release: str, directory: Path) -> Path:
    with scratch_directory(directory) as work:
        archive = AptArchive(RELEASES[release], work)
        (name,) = (n for n in archive.depends(FLAVOURS["cloud"]) if n.startswith("linux-image-"))
        package = archive.download(name)
        return Path(shutil.move(package, directory / package.name))
