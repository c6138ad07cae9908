"""Register maps, one meter a file; `meters.load` imports the chosen one only, so the others cost no heap."""
