"""Digital stage at fixed surface states: one algorithm a file, for one realisation of a broadcast link."""
