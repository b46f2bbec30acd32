"""The benchmark: a fixed upstream, a load generator, a bare relay, and the rows of the report.

Runs from a checkout (``python -m bench``); it is no part of the installed package, imports nothing from it,
and knows a proxy only by its address and its process id.
"""
