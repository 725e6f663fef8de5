"""What a design is worth: effective channels, rates, powers, energy efficiency. One implementation for every network."""
