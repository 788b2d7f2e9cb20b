"""The demo: the real node on the sample drive over DDS, with a bag, pictures and a report."""
