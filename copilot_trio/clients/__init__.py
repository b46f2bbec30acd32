"""Pointing clients at this proxy: what goes into their own configuration files, and how it gets there and out again."""
