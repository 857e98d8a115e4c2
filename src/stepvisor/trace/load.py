"""Put kernel, device tree and initramfs into a machine that has not started."""

from stepvisor.errors import GuestConfigError
from stepvisor.guest.image import KernelImage
from stepvisor.machine.devicetree import edit_tree
from stepvisor.machine.layout import place
from stepvisor.machine.machine import Machine
from stepvisor.monitor.link import BootParameters

__all__ = ("DEFAULT_BOOTARGS", "load_guest")

DEFAULT_BOOTARGS = "console=ttyAMA0 quiet panic=-1"
"""Before the user's own words. A panic ends the machine at once, so that it is seen as an end."""

_LONGEST_BOOTARGS = 2047
"""Characters: COMMAND_LINE_SIZE of arm64 Linux without the NUL."""


def load_guest(
    machine: Machine, kernel: KernelImage, initrd: bytes | None, append: str
) -> BootParameters:
    """Write everything the guest starts from; returns what the monitor must know of it.

    :raise GuestConfigError: When it does not fit, or the command line is too long.
    """
    bootargs = f"{DEFAULT_BOOTARGS} {append}".strip()
    if len(bootargs) > _LONGEST_BOOTARGS or not bootargs.isprintable() or not bootargs.isascii():
        message = f"the kernel command line must be plain text of at most {_LONGEST_BOOTARGS}"
        raise GuestConfigError(message + " characters; shorten --append")
    board, ram = machine.board, machine.ram
    base, size = machine.guest_memory
    placement = place(
        base=base,
        size=size,
        text_offset=kernel.text_offset,
        image_size=max(kernel.image_size, len(kernel.data)),
        initrd_size=len(initrd or b""),
    )
    tree = edit_tree(
        machine.tree,
        memory=(base, size),
        bootargs=bootargs,
        initrd=(placement.initrd, len(initrd)) if initrd else None,
    )
    ram.write(placement.kernel, kernel.data)
    ram.write(placement.tree, tree)
    if initrd:
        ram.write(placement.initrd, initrd)
    return BootParameters(
        ram_base=board.ram_base,
        ram_size=board.ram_size,
        guest_entry=placement.kernel,
        guest_argument=placement.tree,
        gicd_base=board.gicd_base,
        gicr_base=board.gicr_base,
        uart_base=board.uart_base,
        forbidden_base=board.forbidden_base,
        forbidden_size=board.forbidden_size,
        vcpus=machine.config.vcpus,
    )
