"""Data sets, training, validation and export of SegRet; the vehicle does not need it."""
