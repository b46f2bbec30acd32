"""OpenAI chat completions as Copilot speaks them (upstream.md §7)."""
