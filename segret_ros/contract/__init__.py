"""What consumers of the label topics demand, and the check of a live graph or a bag."""
