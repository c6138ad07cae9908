"""The way to the outside: which link is used, names, and the time."""
