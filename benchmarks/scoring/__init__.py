"""Measurements of the score: each detector on each set, what each constant is worth, return periods, table sizes."""
