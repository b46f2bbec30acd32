"""The models upstream offers, and finding one for the name a client asked for."""
