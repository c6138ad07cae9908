"""What each command does: a coroutine (box, options, terminal) -> exit code, found by the command's words."""
