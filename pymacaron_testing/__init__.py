"""pymacaron_testing."""
