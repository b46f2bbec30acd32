"""OpenAI Responses (upstream.md §8)."""
