"""Labels from density-functional theory: one file per engine, everything common beside it."""
