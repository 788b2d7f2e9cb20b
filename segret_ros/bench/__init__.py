"""The command `segret_bench`: how fast a model file is on this machine, stage by stage."""
