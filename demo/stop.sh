#!/usr/bin/env bash
# Stops what `make demo KEEP=1` left running.
set -u
. "$(dirname "$0")/lib.sh"
if [ -f "$pids" ]; then
    stop_demo
    echo "stopped; data and logs are still in $root/demo-data"
else
    echo "no demo is running"
fi
