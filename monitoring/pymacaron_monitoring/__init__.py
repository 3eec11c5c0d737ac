"""pymacaron_monitoring."""
