"""Several labelled images become one."""
