"""Probes: what the user writes, where that is, how the displaced instruction runs."""
