"""The authorization server, and the guard that knows who is calling."""
