"""Bags in, evidence out: how good, how steady and how fresh a model is on recorded drives."""
