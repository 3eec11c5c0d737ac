"""pymacaron."""
