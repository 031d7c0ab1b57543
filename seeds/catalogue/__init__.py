"""The catalogues: conditions, routes, settings, drugs, screening flags and the rest, as data."""
