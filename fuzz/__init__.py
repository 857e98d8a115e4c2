"""The fuzzing guest: random actions of a guest, natively and under the monitor, all compared.

``tests/guests/fuzz`` is the guest, ``docs/design/security.md`` says what is compared.
"""
