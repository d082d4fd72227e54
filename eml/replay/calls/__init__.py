"""Plays a day of a recorded call log against a running server: who called when, how patient he was, who answered."""
