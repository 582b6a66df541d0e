"""Several sources' labels of one image become one."""
