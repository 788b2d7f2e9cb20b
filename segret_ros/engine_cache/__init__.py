"""Built engines, kept and proven: no start waits for a build twice, or trusts one untried."""
