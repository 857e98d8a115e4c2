"""Every exception that stepvisor raises on purpose.

::

    StepvisorError
    +-- InputError            what the user gave is wrong (exit code 2)
    |   +-- ImageError        a kernel image or initramfs that cannot be used
    |   +-- ArchiveError      a package or compressed file that cannot be unpacked
    |   +-- SymbolError       a symbol that does not exist or is ambiguous
    |   +-- ProbeError        a place where no probe can go
    |   +-- ExpressionError   a predicate or capture that has no meaning
    |   +-- GuestConfigError  memory, vCPUs, CPU model or command line that cannot work
    |   +-- SetupError        a program or package that is missing or too old
    +-- MachineError          QEMU did not start, or ended when it should not (exit code 1)
    +-- MonitorError          the monitor refused, failed its self-test, or stopped (exit code 1)
    +-- GuestError            the guest did not do what it was asked in time (exit code 1)

A message says what was wrong, where, and what to do next. The command line prints it as one line;
`exit_code` is the process's exit code.
"""

from stepvisor.plain import plain

__all__ = (
    "ArchiveError",
    "ExpressionError",
    "GuestConfigError",
    "GuestError",
    "ImageError",
    "InputError",
    "MachineError",
    "MonitorError",
    "ProbeError",
    "SetupError",
    "StepvisorError",
    "SymbolError",
)


class StepvisorError(Exception):
    """Base of all of them. Whatever a message quotes, it is printable."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(plain(message, keep="\n\t"))


class InputError(StepvisorError):
    """What the user gave is wrong; nothing was left running."""

    exit_code = 2


class ImageError(InputError):
    """A kernel image or initramfs that cannot be used."""


class ArchiveError(InputError):
    """A package or compressed file that is damaged, cut short, or not what it should be."""


class SymbolError(InputError):
    """A symbol that does not exist or is ambiguous; `near` holds similar names."""

    def __init__(self, message: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.near = near


class ProbeError(InputError):
    """A place where no probe can go."""


class ExpressionError(InputError):
    """A predicate or capture that has no meaning; `column` counts from 1, 0 for the whole."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.column = column


class GuestConfigError(InputError):
    """Memory, vCPUs, CPU model or kernel command line that cannot work."""


class SetupError(InputError):
    """A program or package that stepvisor needs is missing or too old."""


class MachineError(StepvisorError):
    """QEMU did not start, or ended when it should not; the message carries its last words.

    `argv` is its command line, `process_exit_code` its exit code (negative for a signal).
    """

    def __init__(
        self, message: str, argv: tuple[str, ...] = (), process_exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.argv = argv
        self.process_exit_code = process_exit_code


class MonitorError(StepvisorError):
    """The monitor refused a command, failed its self-test, or stopped."""


class GuestError(StepvisorError):
    """The guest did not do what it was asked in time."""
