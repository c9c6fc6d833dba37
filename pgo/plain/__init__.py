"""What people read, in plain Dutch."""
