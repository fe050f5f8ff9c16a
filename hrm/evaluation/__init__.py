"""Predictions, votes, scores and the report."""
