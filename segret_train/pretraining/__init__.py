"""What gives a backbone that has seen more images than a data set holds labels."""
