"""What traces and steps say when they are added up: pure functions."""
