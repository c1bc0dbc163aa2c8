"""What a raw value is: its type and canonical summary, or why it is no indicator."""
