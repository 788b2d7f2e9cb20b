"""Photos and videos, labelled from the shell."""
