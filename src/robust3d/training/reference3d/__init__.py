"""Training of the reference classifier of volumes."""
