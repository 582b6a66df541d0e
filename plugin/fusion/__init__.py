"""Several label sources of a dataset become one."""
