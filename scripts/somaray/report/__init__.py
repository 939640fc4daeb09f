"""Tables and documents from records."""
