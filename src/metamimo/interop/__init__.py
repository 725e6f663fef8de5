"""Exchange with other tools; every optional library is imported where it is used."""
