"""A recorded drive played to the real node over DDS."""
