#!/usr/bin/env bash
# import pydicom asks GitHub for five files in version 3.0.0, and takes two minutes where GitHub is not reached.
#
# Guess: importing a library that reads files opens no connection, and an oldest version of 3.0 in a requirement gets what 3.0
# promises.
# What happens: pydicom 3.0.0 imports the examples of its documentation, which look up thirteen files and download the five
# that the package does not hold, each time that it is imported until they lie in ~/.pydicom. Without a network each is tried
# four times, with waits of 3, 6 and 12 s: 105 s altogether, then a warning for each. From 3.0.1 on nothing is asked for.
# Why it matters: the workstations that read CTs and radiographs are cut off from the internet, or write down who asks for
# what. A tool that allows pydicom >= 3.0 may get a version that hangs at its start there, in every worker process anew.
#
# A proxy on loopback where nobody listens stands for the missing network; waits are added up instead of waited for.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/import_it.py" <<'PYTHON'
import contextlib
import io
import pathlib
import sys
import time
import warnings

asked, waits = [], []
sys.addaudithook(lambda event, values: asked.append(values[0]) if event == "urllib.Request" else None)
time.sleep = waits.append
with warnings.catch_warnings(record=True) as said, contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("always")
    import pydicom

files = sorted({url.rsplit("/", 1)[1] for url in asked})
recorded = (5, 20, 105, 5, True) if pydicom.__version__ == "3.0.0" else (0, 0, 0, 0, False)
seen = (len(files), len(asked), sum(waits), len(said), (pathlib.Path.home() / ".pydicom").exists())
print("pydicom", pydicom.__version__, "asks for", files)
print("  files, requests, seconds of waiting, warnings, a folder .pydicom in the user's home:", seen)
if seen != recorded:
    raise SystemExit(f"CHANGED: recorded {recorded}")
PYTHON
cd "$work"
nobody=http://127.0.0.1:9
for version in 3.0.0 3.0.1 3.0.2; do
    python3 -m venv "$work/venv-$version"
done
"$work/venv-3.0.0/bin/python" -m pip install -qq --disable-pip-version-check pydicom==3.0.0
"$work/venv-3.0.1/bin/python" -m pip install -qq --disable-pip-version-check pydicom==3.0.1
"$work/venv-3.0.2/bin/python" -m pip install -qq --disable-pip-version-check pydicom==3.0.2
for version in 3.0.0 3.0.1 3.0.2; do
    mkdir "$work/home-$version"
    HOME="$work/home-$version" https_proxy=$nobody http_proxy=$nobody "$work/venv-$version/bin/python" -I import_it.py
done
echo "As recorded."
