"""A distribution's kernel and busybox for arm64, fetched once and kept in the user's cache.

Debian's, because its kernels are raw Images, come for more than one machine, and have kallsyms and
BTF. Package names are resolved from the metapackages when they are fetched: a kernel's own package
changes its name with every update, and the old one vanishes.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from stepvisor.errors import InputError, SetupError, StepvisorError
from stepvisor.guest.apt import AptArchive
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.cache import (
    cache_directory,
    locked,
    replace_directory,
    scratch_directory,
    write_atomic,
)
from stepvisor.guest.image import parse_image
from stepvisor.guest.initramfs import build_initramfs, recipe
from stepvisor.guest.mirror import MirrorArchive

__all__ = (
    "DEFAULT_RELEASE",
    "FLAVOURS",
    "RELEASES",
    "GuestFiles",
    "cached_guest",
    "default_guest",
    "fetch",
)

DEFAULT_RELEASE: Final = "6.12"
DEFAULT_FLAVOUR: Final = "cloud"

RELEASES: Final[Mapping[str, str]] = {
    "6.12": "trixie",
    "6.1": "bookworm",
    "5.10": "bullseye",
    "backports": "trixie-backports",
}
"""Kernel release to the Debian suite that keeps it up to date; `backports` is the newest of all."""

FLAVOURS: Final[Mapping[str, str]] = {
    "cloud": "linux-image-cloud-arm64",
    "full": "linux-image-arm64",
    "rt": "linux-image-rt-arm64",
    "16k": "linux-image-arm64-16k",
}
"""Flavour to Debian's metapackage: `cloud` is for virtual machines and a third of the size, `rt`
preempts itself everywhere, `16k` has pages of 16 KiB (6.12 and later)."""

Progress = Callable[[str], None]

_BUSYBOX: Final = "busybox-static"
_KERNEL_PACKAGE: Final = re.compile(r"linux-(?:image|binary)-\d.*")
_KERNEL_FILE: Final = r"boot/vmlinuz-.*|usr/lib/modules/[^/]+/vmlinuz"
_BUSYBOX_FILE: Final = r"(?:usr/)?bin/busybox"
_MAX_HOPS: Final = 4
_MANIFEST: Final = "guest.json"


@dataclass(frozen=True)
class GuestFiles:
    """What it takes to boot a guest, on disk."""

    kernel: Path
    busybox: Path
    initrd: Path
    release: str
    """Kernel release as `uname -r` prints it in the guest."""
    packages: tuple[str, ...]
    """The package files that they came from; names have the version in them."""


class _Archive(Protocol):
    def depends(self, package: str) -> tuple[str, ...]: ...
    def download(self, package: str) -> Path: ...
    def explain(self, words: str = "") -> str: ...


def default_guest(progress: Progress | None = None) -> GuestFiles:
    """Return the default guest, from the cache, or fetched when it is not there yet.

    ``$STEPVISOR_GUEST`` names another: RELEASE-FLAVOUR, ``6.12-rt`` for one.

    :raise StepvisorError: As `fetch` does.
    """
    release, flavour = _default_names()
    return fetch(flavour, release, progress=progress)


def cached_guest() -> GuestFiles | None:
    """Return the default guest if it is in the cache already; fetches nothing."""
    return _cached(cache_directory() / "guests" / "-".join(_default_names()))


def _default_names() -> tuple[str, str]:
    wanted = os.environ.get("STEPVISOR_GUEST", f"{DEFAULT_RELEASE}-{DEFAULT_FLAVOUR}")
    release, _, flavour = wanted.partition("-")
    if release not in RELEASES or flavour not in FLAVOURS:
        raise InputError(
            f"$STEPVISOR_GUEST is {wanted!r}: write RELEASE-FLAVOUR, of the releases"
            f" {', '.join(RELEASES)} and the flavours {', '.join(FLAVOURS)}"
        )
    return release, flavour


def fetch(
    flavour: str = DEFAULT_FLAVOUR,
    release: str = DEFAULT_RELEASE,
    *,
    mirror: str | None = None,
    keyring: Path | None = None,
    trust_mirror: bool = False,
    packages: Sequence[Path] = (),
    cache: Path | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> GuestFiles:
    """Return a guest's files, from the cache when they are there.

    :param flavour: One of FLAVOURS.
    :param release: One of RELEASES.
    :param mirror: HTTPS address of a Debian archive; the machine's own apt when None.
    :param keyring: Debian's keyring for the mirror's signature, found by itself when None.
    :param trust_mirror: Accept a mirror whose signature cannot be checked.
    :param packages: The two .deb files, downloaded by the user, instead of either.
    :param cache: Directory instead of the user's own.
    :param refresh: Fetch again, for a newer kernel.
    :param progress: Called with one line before each thing that takes time.
    :raise StepvisorError: When they cannot be had; the message says what to do.
    """
    if flavour not in FLAVOURS:
        raise InputError(f"flavour {flavour!r}: there are {', '.join(FLAVOURS)}")
    if release not in RELEASES:
        raise InputError(f"release {release!r}: there are {', '.join(RELEASES)}")
    say = progress or (lambda _: None)
    directory = (cache or cache_directory()) / "guests"
    target = directory / f"{release}-{flavour}"
    found = None if refresh or packages else _cached(target)
    if found is not None:
        return found
    with locked(directory, lambda: say("waiting for another stepvisor that is fetching a guest")):
        found = None if refresh or packages else _cached(target)
        if found is not None:
            return found
        with scratch_directory(directory) as work:
            files = tuple(packages)
            if not files:
                files = _download(flavour, release, work, mirror, keyring, say, trust=trust_mirror)
            say("unpacking")
            _store(files, work / "guest")
            replace_directory(work / "guest", target)
    stored = _cached(target)
    if stored is None:
        raise SetupError(f"cache {target}: was changed while it was written: try again")
    return stored


def _cached(target: Path) -> GuestFiles | None:
    """The entry at `target`, None when it is not there or not whole."""
    try:
        manifest = json.loads((target / _MANIFEST).read_bytes())
        kernel, busybox = target / "vmlinuz", target / "busybox"
        if [kernel.stat().st_size, busybox.stat().st_size] != manifest["sizes"]:
            return None
        packages = tuple(str(name) for name in manifest["packages"])
        release = str(manifest["release"])
        initrd = _initramfs(target, busybox)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return GuestFiles(kernel, busybox, initrd, release, packages)


def _initramfs(target: Path, busybox: Path) -> Path:
    """The initramfs of this version of stepvisor, made when it is not there yet."""
    digest = hashlib.sha256(recipe() + busybox.read_bytes()).hexdigest()[:12]
    path = target / f"initramfs-{digest}.cpio.gz"
    if not path.is_file():
        write_atomic(path, build_initramfs(busybox.read_bytes()))
    return path


def _store(packages: Sequence[Path], directory: Path) -> None:
    """Unpack kernel and busybox from packages into a new directory."""
    kernel = _extract(packages, _KERNEL_FILE, "a kernel (linux-image-...-arm64)")
    busybox = _extract(packages, _BUSYBOX_FILE, "busybox (busybox-static, arm64)")
    image = parse_image(kernel, Path("vmlinuz"))
    directory.mkdir()
    (directory / "vmlinuz").write_bytes(kernel)
    (directory / "busybox").write_bytes(busybox)
    manifest = {
        "release": image.release,
        "packages": [path.name for path in packages],
        "sizes": [len(kernel), len(busybox)],
    }
    (directory / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    _initramfs(directory, directory / "busybox")


def _extract(packages: Sequence[Path], pattern: str, what: str) -> bytes:
    complaints = []
    for package in packages:
        try:
            return extract_from_deb(package, pattern)
        except StepvisorError as error:
            complaints.append(str(error))
    raise InputError(f"no package has {what}: {'; '.join(complaints)}")


def _download(
    flavour: str,
    release: str,
    work: Path,
    mirror: str | None,
    keyring: Path | None,
    say: Progress,
    *,
    trust: bool,
) -> tuple[Path, ...]:
    suite = RELEASES[release]
    directory = work / "archive"
    directory.mkdir()
    archive: _Archive
    if mirror is None:
        say(f"reading the package lists of Debian {suite} for arm64 (apt, nothing is installed)")
        archive = _apt(suite, directory, flavour)
    else:
        say(f"reading the package list of Debian {suite} for arm64 from {mirror}")
        archive = MirrorArchive(mirror, suite, directory, keyring=keyring, trust=trust)
    kernel = _kernel_package(archive, FLAVOURS[flavour])
    files = []
    for package in (kernel, _BUSYBOX):
        say(f"downloading {package}")
        files.append(archive.download(package))
    return tuple(files)


def _apt(suite: str, directory: Path, flavour: str) -> AptArchive:
    try:
        return AptArchive(suite, directory)
    except SetupError as error:
        raise SetupError(
            f"no guest kernel: {error}. Give --mirror with the https:// address of a Debian "
            f"archive, or download two packages of Debian {suite} for arm64, the one that "
            f"{FLAVOURS[flavour]} depends on (linux-image-...-arm64) and {_BUSYBOX}, and run "
            "'stepvisor guest fetch --package FILE --package FILE'; a kernel and initramfs of "
            "your own: --kernel and --initrd"
        ) from error


def _kernel_package(archive: _Archive, package: str) -> str:
    """Follow dependencies from a metapackage to the package that has the kernel in it.

    From 7.1 on the kernel is one step further, in linux-binary-*.
    """
    found = ""
    for _ in range(_MAX_HOPS):
        following = [name for name in archive.depends(package) if _KERNEL_PACKAGE.fullmatch(name)]
        if not following:
            break
        package = found = following[0]
    if not found:
        raise SetupError(
            f"the archive has no kernel behind package {package}; it was read with this complaint: "
            f"{archive.explain()}"
        )
    return found
