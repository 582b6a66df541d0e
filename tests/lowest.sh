#!/bin/sh
# Installs the lowest versions that pyproject.toml allows into build/lowest and runs the given tests with them.
set -eu
folder=build/lowest
resolve="$VENV/bin/uv pip compile --quiet --resolution lowest-direct --python $VENV/bin/python pyproject.toml"
mkdir -p build
$resolve --extra lora --extra parquet --extra prompts --output-file build/lowest.txt >/dev/null
# What only torch brings comes with it from the main environment.
grep -vE '^(torch|torchvision|triton|nvidia-[a-z0-9-]+)==' build/lowest.txt > build/lowest-without-torch.txt

"$VENV/bin/uv" venv --quiet --clear --python "$VENV/bin/python" "$folder"
"$VENV/bin/uv" pip install --quiet --no-deps --python "$folder/bin/python" -r build/lowest-without-torch.txt \
	'pytest>=8' 'pytest-timeout>=2.3' 'pytest-xdist>=3.6' iniconfig pluggy execnet
"$VENV/bin/uv" pip install --quiet --no-deps --python "$folder/bin/python" -e .
site='import sysconfig; print(sysconfig.get_path("purelib"))'
# A path file adds its folder behind the environment's own: only what is missing here is found there.
"$VENV/bin/python" -c "$site" > "$("$folder/bin/python" -c "$site")/torch-of-main.pth"
mongod=$("$VENV/bin/python" -c "from diffucurate.plugin.environment.database import mongod; print(mongod().parent)")
PATH="$mongod:$PATH" "$folder/bin/python" -m pytest -n 2 --dist worksteal -m 'not slow' "$@"
