"""The faces: thin handlers over the relay and the accounts."""
