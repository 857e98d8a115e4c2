"""Debian's packages of kernels: a kernel and, out of the same package, its modules."""

import contextlib
import lzma
from pathlib import Path

from stepvisor.errors import ArchiveError
from stepvisor.guest.apt import AptArchive
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.cache import cache_directory, locked, replace_directory, scratch_directory
from stepvisor.guest.distribution import DEFAULT_FLAVOUR, FLAVOURS, RELEASES, fetch
from stepvisor.guest.image import KernelImage, parse_image
from stepvisor.guest.initramfs import build_initramfs

__all__ = ("KernelPackage",)


class KernelPackage:
    """A kernel of Debian's by release, or RELEASE-FLAVOUR; kept in the user's cache."""

    def __init__(self, name: str) -> None:
        release, _, flavour = name.partition("-")
        self._paths = _packages(release, flavour or DEFAULT_FLAVOUR)

    def kernel(self) -> KernelImage:
        name = r"boot/vmlinuz-.*|usr/lib/modules/[^/]+/vmlinuz"
        return parse_image(self._extract(name), self._paths[0])

    def module(self, name: str) -> bytes:
        """The file of a module, unpacked: the guest's insmod takes no other."""
        data = self._extract(rf"(usr/)?lib/modules/.*/{name}\.ko(\.xz)?")
        return lzma.decompress(data) if data.startswith(b"\xfd7zXZ\0") else data

    def initrd(self, *modules: str) -> bytes:
        """Our initramfs with modules in its root directory."""
        files = {f"{name}.ko": self.module(name) for name in modules}
        return build_initramfs(fetch().busybox.read_bytes(), files)

    def _extract(self, pattern: str) -> bytes:
        for path in self._paths[:-1]:
            with contextlib.suppress(ArchiveError):
                return extract_from_deb(path, pattern)
        return extract_from_deb(self._paths[-1], pattern)


def _packages(release: str, flavour: str) -> list[Path]:
    directory = cache_directory() / "tests" / "packages" / f"{release}-{flavour}"
    with locked(directory.parent, lambda: None):
        if not directory.is_dir():
            with scratch_directory(directory.parent) as work:
                replace_directory(_download(release, flavour, work), directory)
        return sorted(directory.glob("*.deb"))


def _download(release: str, flavour: str, work: Path) -> Path:
    """From 7.1 on a kernel and its modules are packages of their own."""
    archive = AptArchive(RELEASES[release], work)
    (image,) = (n for n in archive.depends(FLAVOURS[flavour]) if n.startswith("linux-image-"))
    parts = ("linux-binary-", "linux-modules-")
    for name in (image, *(n for n in archive.depends(image) if n.startswith(parts))):
        package = archive.download(name)
    return package.parent
