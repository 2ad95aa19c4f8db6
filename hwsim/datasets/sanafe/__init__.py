"""Networks for SANA-FE, an external simulator of spiking chips: written by us, run in a process of its own, labels read back."""
