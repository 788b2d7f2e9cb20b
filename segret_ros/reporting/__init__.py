"""What the reports of demo, benchmark, training and evaluation share."""
