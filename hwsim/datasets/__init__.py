"""Loaders of public measurements; the data are not part of the package. Needs pandas."""
