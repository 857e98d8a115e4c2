"""Boot a guest, probe it, read what its probes saw."""
