"""A local proxy that gives a GitHub Copilot subscription the OpenAI and Anthropic APIs."""

__version__ = "0.1.0"
