"""Who hears the surface: random and imported channels."""
