"""An engine of our own that verifies drafts by any rule of the lab."""
