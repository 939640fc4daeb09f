"""Subcommands of `somaray`, a module each."""
