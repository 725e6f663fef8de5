"""How far bounds lie above the best designs found: a study of every kind of problem."""
