"""Captures: from memray's files to source lines, packages and links, and the foreign records beside them."""
