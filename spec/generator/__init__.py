"""Turn the declarations in `spec/` into C, Python and Markdown.

`wire` and `arch` read and check a declaration, the `emit_*` modules write one language each.
"""

__all__ = ("SpecError",)


class SpecError(Exception):
    """A declaration that contradicts itself; the message names the entry."""
