"""What the process says at its end, besides 0 and the `exit_code` of an error."""

import signal

__all__ = ("BROKEN_PIPE", "INCOMPLETE", "INTERRUPTED", "TERMINATED")

INCOMPLETE = 3
"""Something was seen, but not all that was asked for; the summary says why."""

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
BROKEN_PIPE = 128 + signal.SIGPIPE
