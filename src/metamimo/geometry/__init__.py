"""Where things are: element positions of planar arrays, users in a cell."""
