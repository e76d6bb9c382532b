"""From a battery file to items."""
