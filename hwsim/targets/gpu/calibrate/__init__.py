"""Fits of the GPU constants on measurements, and validations that leave devices or families out. Needs scipy and pandas."""
