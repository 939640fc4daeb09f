"""Modules that several tests, and the programs they measure, import."""
