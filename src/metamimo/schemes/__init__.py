"""Paper-level recipes: precoder, tuner, stopping rule and citation; one file a scheme, found by name."""
