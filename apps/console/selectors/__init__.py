"""What the desk shows: read-only, scoped to who asks, and the same number of queries however much there is."""
