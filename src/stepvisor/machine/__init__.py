"""The machine that the guest runs on: a QEMU process, its memory, its console.

Nothing here knows the monitor's commands (that is :mod:`stepvisor.monitor`) or Linux symbols.
"""
