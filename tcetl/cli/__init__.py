"""The tcetl command."""
