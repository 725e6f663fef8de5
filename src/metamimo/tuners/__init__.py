"""Surface stage at a fixed precoder: one algorithm a file."""
