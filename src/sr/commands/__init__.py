"""The subcommands of ``sr``, one module each: the arguments beside the code they reach.

Each module has ``HELP`` (one line), ``EXAMPLE``, ``add_arguments`` and ``run``. Torch and other slow imports wait
until ``run``, so that ``sr --help`` answers at once.
"""
