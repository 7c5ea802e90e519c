"""Rules that a worklist item must meet, as numbered findings."""
