"""Bugs that a crash, a power cut or a failing call shows."""
