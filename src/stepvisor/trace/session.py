"""Boot a guest: the front door of the Python API."""

from collections.abc import Callable
from pathlib import Path

from stepvisor.errors import ImageError, SetupError
from stepvisor.guest.image import KernelImage, load_image
from stepvisor.guest.initramfs import READY_LINE
from stepvisor.machine.config import DEFAULT_CPU, MachineConfig, parse_size
from stepvisor.trace.guest import Guest

__all__ = ("boot", "load_inputs", "start")

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
) -> Guest:
    """As :func:`boot`, but return as soon as the guest's first instruction may run."""
    config = MachineConfig(
        cpu=cpu, vcpus=cpus, memory=parse_size(memory) if isinstance(memory, str) else memory
    )
    image, archive, ready_line = load_inputs(kernel, initrd)
    return Guest(
        image, archive, config=config, append=append, ready_line=ready_line, echo=console
    )


def load_inputs(
    kernel: str | Path | KernelImage | None, initrd: str | Path | bytes | None
) -> tuple[KernelImage, bytes, str | None]:
    """Kernel, initramfs, and the line the latter's shell is known to print.

    :raise ImageError: When a file cannot be used.
    :raise SetupError: When nothing is given and nothing has been fetched.
    """
    image = kernel if isinstance(kernel, KernelImage) else _kernel(kernel)
    if initrd is None:
        return image, default_initramfs(), READY_LINE
    archive = initrd if isinstance(initrd, bytes) else _read(Path(initrd))
    return image, archive, None


def _kernel(path: str | Path | None) -> KernelImage:
    return load_image(path if path is not None else default_kernel())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_INITRD + 1)
    except OSError as error:
        message = f"initramfs {path}: cannot be read ({error.strerror})"
        raise ImageError(message) from error
    if not data or len(data) > _LARGEST_INITRD:
        message = f"initramfs {path}: {'is empty' if not data else 'is too large'}"
        raise ImageError(message)
    return data


def default_kernel() -> Path:
    """Kernel that ``stepvisor guest fetch`` has fetched."""
    message = "no kernel; run `stepvisor guest fetch`, or give one with --kernel"
    raise SetupError(message)


def default_initramfs() -> bytes:
    """Our own user space, around the busybox that ``stepvisor guest fetch`` has fetched."""
    message = "no busybox; run `stepvisor guest fetch`, or give an initramfs with --initrd"
    raise SetupError(message)
