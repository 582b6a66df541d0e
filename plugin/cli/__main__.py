"""``python -m diffucurate.plugin.cli``."""

from diffucurate.plugin.cli.running import main

main()
