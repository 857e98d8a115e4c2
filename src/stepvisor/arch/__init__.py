"""What AArch64 values mean."""
