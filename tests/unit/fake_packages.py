"""Debian packages made up for tests."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

import fake_kernel
from test_initramfs import program

KERNEL_PATH = "./boot/vmlinuz-6.99.0-test"


def make_deb(files: Mapping[str, bytes | Path], compression: str = ".xz") -> bytes:
    """A .deb with these files, a path for a link to it, members in dpkg's order."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(data, Path):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(data)
                tar.addfile(entry)
                continue
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    pack = {"": bytes, ".xz": lzma.compress, ".gz": gzip.compress}.get(compression, bytes)
    return make_ar(
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", lzma.compress(b"")),
        (f"data.tar{compression}", pack(raw.getvalue())),
    )


def make_ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(data))
        out += data + b"\n" * (len(data) % 2)
    return out


def kernel_bytes() -> bytes:
    """An Image that passes every check."""
    body = fake_kernel.make_header(size=0x8000) + bytes(0x7000)
    banner = b"Linux version 6.99.0-test (builder@example) #1 SMP\n"
    body[0x3000 : 0x3000 + len(banner)] = banner
    return bytes(body)


def kernel_deb() -> bytes:
    return make_deb({"./usr/share/doc/README": b"hello", KERNEL_PATH: kernel_bytes()})


def busybox_deb(path: str = "./usr/bin/busybox") -> bytes:
    return make_deb({"./usr/share/busybox": b"no", path: program()})


def write_packages(directory: Path) -> tuple[Path, Path]:
    """Kernel and busybox packages as files."""
    kernel, busybox = directory / "linux-image-test.deb", directory / "busybox-static-test.deb"
    kernel.write_bytes(kernel_deb())
    busybox.write_bytes(busybox_deb())
    return kernel, busybox
