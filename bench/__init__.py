"""The cost of probes and steps, measured side by side with what else a user could take.

``python -m bench`` from the source tree; ``make bench`` and ``make bench-quick`` call it.
"""
