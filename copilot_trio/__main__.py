"""``python -m copilot_trio``."""

from __future__ import annotations

from copilot_trio.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
