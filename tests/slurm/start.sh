#!/usr/bin/env bash
# A Slurm of one node on this machine, for `make test-slurm`: start.sh FOLDER, stop.sh FOLDER.
# Needs root, and Debian's packages slurm-wlm and munge, which it installs if they are missing.
set -euo pipefail
folder=$(realpath -m "$1")
mkdir -p "$folder"/{state,spool}

# Jobs look for the configuration in this place only.
standard=/etc/slurm/slurm.conf
if [ -e "$standard" ]; then
  echo "$standard is there: this machine has a Slurm of its own, which the tests leave alone" >&2
  exit 1
fi

command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null || {
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge
}

# Jobs are authenticated by munge, whose daemon wants a key and a folder of its own.
install -d -o munge -g munge -m 0755 /run/munge
[ -s /etc/munge/munge.key ] || mungekey --create
chown munge: /etc/munge/munge.key
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged
until munge -n >/dev/null 2>&1; do sleep 0.2; done

cpus=$(nproc)
cat > "$folder/slurm.conf" <<CONF
ClusterName=book
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completed.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=8000 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
CONF
mkdir -p /etc/slurm
ln -sfn "$folder/slurm.conf" "$standard"
slurmctld
slurmd
for _ in $(seq 60); do
  [ "$(sinfo --noheader --partition cpu --format %t 2>/dev/null)" = idle ] && exit 0
  sleep 0.5
done
echo "Slurm did not start; see the logs in $folder" >&2
exit 1
