"""New worklist items from keys, JSON or rows of a table, with what can be filled in."""
