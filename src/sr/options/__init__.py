"""Check options against the signatures of what they configure, before building anything."""
