"""Scoring of cohorts: models and the predictions of other methods, case by case, from a laptop to a cluster."""
