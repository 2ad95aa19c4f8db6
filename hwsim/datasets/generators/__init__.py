"""Generators: data sets that a real tool labels on this machine."""
