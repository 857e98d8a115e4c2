"""The other end of the monitor: handshake, commands, rings.

:mod:`stepvisor.monitor.interface` says what a tracer may ask of any hypervisor;
:mod:`stepvisor.monitor.el2` answers it with our own EL2 monitor. Only this package knows the wire,
and nothing in it knows Linux.
"""
