"""Real objects out of Sweet Home 3D's catalogues (.sh3f): its archives, their properties, and classes as lists."""
