"""Artifacts: drafts and logged ones, entries, manifests and their errors."""
