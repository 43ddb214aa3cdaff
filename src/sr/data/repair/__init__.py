"""Mend misaligned pairs of high and low resolution into a new folder."""
