"""Load test of the real `sr demo` with honest and hostile visitors, watching the server's files and resources."""
