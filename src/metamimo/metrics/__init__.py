"""What a design is worth: effective channels, rates, powers, energy efficiency; one implementation for all."""
