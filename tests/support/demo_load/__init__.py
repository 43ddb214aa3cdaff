"""Load on the real `sr demo`: honest and hostile visitors, and what the server reads, writes and holds meanwhile."""
