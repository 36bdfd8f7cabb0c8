#!/usr/bin/env bash
# Stop the Slurm that start.sh FOLDER started.
set -uo pipefail
for daemon in slurmd slurmctld; do
  [ -s "$1/$daemon.pid" ] && kill "$(cat "$1/$daemon.pid")"
done
exit 0
