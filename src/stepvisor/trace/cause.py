"""What was to call a function, such as a command in the guest: once it has ended, no call comes."""

from collections.abc import Callable

__all__ = ("Cause",)


class Cause:
    """To be asked again and again, each time that nothing was there to be read."""

    def __init__(self, name: str, over: Callable[[], bool], sync: Callable[[], None]) -> None:
        """`over` says whether it has ended; `sync` waits until all that it did can be read."""
        self.name = name
        """For an error message."""
        self._over = over
        self._sync = sync
        self._synced = False

    def is_over(self) -> bool:
        """Whether it ended so long ago that all it did could have been read since."""
        if self._synced:
            return True
        if self._over():
            self._sync()
            self._synced = True
        return False
