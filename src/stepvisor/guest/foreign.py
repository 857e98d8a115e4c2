"""What a file is that is not an arm64 kernel Image, and what to give instead."""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = ("describe_foreign", "elf_machine")

_WANTED: Final = "give an arm64 Image (arch/arm64/boot/Image, or a distribution's arm64 vmlinuz)"

_ELF_MACHINES: Final[Mapping[int, str]] = {
    3: "x86 (32 bit)",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC 64",
    22: "s390",
    40: "Arm (32 bit)",
    62: "x86-64",
    183: "arm64",
    243: "RISC-V",
    258: "LoongArch",
}

_PE_MACHINES: Final[Mapping[int, str]] = {
    0x014C: "x86 (32 bit)",
    0x01C0: "Arm (32 bit)",
    0x01C2: "Arm (32 bit)",
    0x5032: "RISC-V (32 bit)",
    0x5064: "RISC-V",
    0x6264: "LoongArch",
    0x8664: "x86-64",
    0xAA64: "arm64",
}

# Offset, bytes there, and what the file then is.
_SIGNATURES: Final = (
    (0x202, b"HdrS", f"is an x86 kernel (bzImage): {_WANTED}"),
    (0x38, b"RSC\x05", f"is a RISC-V kernel Image: {_WANTED}"),
    (0x30, b"RISCV", f"is a RISC-V kernel Image: {_WANTED}"),
    (0x24, b"\x18\x28\x6f\x01", f"is a 32-bit Arm kernel (zImage): {_WANTED}"),
    (0, b"\x27\x05\x19\x56", f"is a U-Boot uImage: strip its 64-byte header, or {_WANTED}"),
    (0, b"\xd0\x0d\xfe\xed", f"is a device tree or FIT image: {_WANTED}"),
    (0, b"ANDROID!", f"is an Android boot image: unpack it and {_WANTED}"),
    (0, b"070701", f"is a cpio archive, an initramfs (--initrd): {_WANTED}"),
    (0, b"!<arch>\n", f"is a package or library archive: unpack it and {_WANTED}"),
)


def describe_foreign(data: bytes) -> str:
    """Say in one clause what `data` is instead of an arm64 Image, and what to do."""
    if (machine := elf_machine(data)) is not None:
        return _describe_elf(machine)
    for offset, magic, description in _SIGNATURES:
        if data[offset : offset + len(magic)] == magic:
            return description
    if data.startswith(b"MZ"):
        return _describe_pe(data)
    return f"is not an arm64 kernel Image (no 'ARM\\x64' at byte 56): {_WANTED}"


def elf_machine(data: bytes) -> str | None:
    """Name of the machine that an ELF file is for, None when it is no ELF file."""
    if not data.startswith(b"\x7fELF"):
        return None
    order: Literal["big", "little"] = "big" if data[5:6] == b"\x02" else "little"
    machine = int.from_bytes(data[18:20], order)
    return _ELF_MACHINES.get(machine, f"machine {machine}")


def _describe_elf(machine: str) -> str:
    if machine == "arm64":
        return (
            "is an arm64 ELF file (vmlinux), not an Image: give arch/arm64/boot/Image of the same "
            "build, or make one with aarch64-linux-gnu-objcopy -O binary"
        )
    return f"is an ELF file for {machine}: {_WANTED}"


def _describe_pe(data: bytes) -> str:
    start = int.from_bytes(data[0x3C:0x40], "little")
    machine = int.from_bytes(data[start + 4 : start + 6], "little")
    if data[start : start + 4] != b"PE\0\0":
        return f"is a DOS or EFI file without an arm64 Image header: {_WANTED}"
    name = _PE_MACHINES.get(machine, f"machine {machine:#x}")
    if name == "arm64":
        return f"is an arm64 EFI program (a unified kernel image?), not a kernel: {_WANTED}"
    return f"is an EFI program for {name}: {_WANTED}"
