"""Modules generated from `spec/`."""
