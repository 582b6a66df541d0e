"""What the machine has: database server, packages, devices."""
