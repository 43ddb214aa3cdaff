"""Options are compared with the signatures of what they configure, before anything is built."""
