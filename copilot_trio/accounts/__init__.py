"""GitHub accounts: what each is, how it fares, and which one carries a request."""
