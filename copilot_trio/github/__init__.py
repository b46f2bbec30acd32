"""GitHub's own API: sign-in, tokens, hosts."""
