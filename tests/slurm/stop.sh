#!/usr/bin/env bash
# Stop the Slurm that start.sh FOLDER started, and wait until it has ended.
set -uo pipefail
folder=$(realpath -m "$1")
for daemon in slurmd slurmctld; do
  pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
  kill "$pid" 2>/dev/null
  for _ in $(seq 40); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
  done
done
[ "$(readlink /etc/slurm/slurm.conf)" = "$folder/slurm.conf" ] && rm /etc/slurm/slurm.conf
exit 0
