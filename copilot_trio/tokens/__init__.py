"""How many tokens a prompt is, without a vocabulary."""
