"""Boot a guest: the front door of the Python API."""

from collections.abc import Callable
from pathlib import Path

from stepvisor.errors import ImageError
from stepvisor.guest.distribution import GuestFiles, default_guest
from stepvisor.guest.image import KernelImage, load_image
from stepvisor.guest.initramfs import READY_LINE
from stepvisor.inputs import read_input
from stepvisor.machine.config import DEFAULT_CPU, MachineConfig, parse_size
from stepvisor.trace.guest import Guest

__all__ = ("boot", "default_files", "load_inputs", "start")

_LARGEST_INITRD = 1 << 31


def boot(
    kernel: str | Path | KernelImage | None = None,
    *,
    initrd: str | Path | bytes | None = None,
    append: str = "",
    cpus: int = 2,
    cpu: str = DEFAULT_CPU,
    memory: str | int = "1G",
    console: Callable[[bytes], None] | None = None,
) -> Guest:
    """Boot a kernel under the monitor and wait until user space runs.

    Without `kernel`, the default one of ``stepvisor guest fetch``; without `initrd`, our own small
    user space. `append` is added to the kernel command line, `memory` is what the guest sees (a
    number counts bytes), `console` gets the console's bytes as they come, from another thread.

    :raise InputError: When something given cannot work; nothing is left running.
    :raise MonitorError: When the monitor fails its self-test.
    :raise GuestError: When the guest does not reach user space.
    """
    guest = start(
        kernel,
        initrd=initrd,
        append=append,
        cpus=cpus,
        cpu=cpu,
        memory=memory,
        console=console,
    )
    try:
        guest.wait_user()
    except BaseException:
        guest.close()
        raise
    return guest


def start(
    kernel: str | Path | KernelImage | None = None,
    *,
    initrd: str | Path | bytes | None = None,
    append: str = "",
    cpus: int = 2,
    cpu: str = DEFAULT_CPU,
    memory: str | int = "1G",
    console: Callable[[bytes], None] | None = None,
    paused: bool = False,
) -> Guest:
    """As :func:`boot`, but return as soon as the guest's first instruction may run.

    With `paused`, it does so at ``guest.resume()``.
    """
    config = MachineConfig(
        cpu=cpu, vcpus=cpus, memory=parse_size(memory) if isinstance(memory, str) else memory
    )
    image, archive, ready_line = load_inputs(kernel, initrd)
    return Guest(
        image,
        archive,
        config=config,
        append=append,
        ready_line=ready_line,
        echo=console,
        paused=paused,
    )


def load_inputs(
    kernel: str | Path | KernelImage | None, initrd: str | Path | bytes | None
) -> tuple[KernelImage, bytes, str | None]:
    """Kernel, initramfs, and the line the latter's shell is known to print.

    :raise ImageError: When a file cannot be used.
    :raise SetupError: When nothing is given and nothing can be fetched.
    """
    if kernel is None:
        kernel = default_files().kernel
    image = kernel if isinstance(kernel, KernelImage) else load_image(kernel)
    if initrd is None:
        return image, _read(default_files().initrd), READY_LINE
    archive = initrd if isinstance(initrd, bytes) else _read(Path(initrd))
    return image, archive, None


def default_files() -> GuestFiles:
    """The guest of ``stepvisor guest fetch``, from the user's cache, or fetched now."""
    return default_guest()


def _read(path: Path) -> bytes:
    data = read_input(path, "initramfs", _LARGEST_INITRD, ImageError)
    if not data:
        message = f"initramfs {path}: is empty"
        raise ImageError(message)
    return data
