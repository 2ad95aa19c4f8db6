"""Training of surrogates; needs torch."""
