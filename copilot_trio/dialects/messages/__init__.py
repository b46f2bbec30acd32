"""Anthropic Messages (upstream.md §10)."""
