"""The upstream edge: the one package that speaks httpcore, so that replacing it is a change in one place."""
