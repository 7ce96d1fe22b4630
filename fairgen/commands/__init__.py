"""The subcommands of `fairgen`, one module each."""
