"""Plays recorded conversations through the public doors of a running server, and proves that nothing was lost."""
