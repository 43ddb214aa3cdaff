"""`sr decide`: train next what settles most."""
