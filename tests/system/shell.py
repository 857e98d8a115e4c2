"""Words for the guest's shell."""

__all__ = ("until_asleep",)


def until_asleep(task: str) -> str:
    """Wait until a task of this name waits for something: however slow the machine is."""
    return f"until grep -qs '({task}) S' /proc/[0-9]*/stat; do usleep 10000; done"
