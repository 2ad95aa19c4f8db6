"""Fits of neuromorphic boards, and the rows of their accuracy tables."""
