#!/usr/bin/env bash

#$ -N dasksse-12ab34cd-gpu-1
#$ -q gpu
#$ -P my_project
#$ -l h_vmem=4G
#$ -l h_rt=36:00:30
#$ -cwd
#$ -j y
#$ -o /run/cluster/logs/dasksse-12ab34cd-gpu-1.log
#$ -r n
#$ -S /bin/bash
#$ -l gpu=2
#$ -pe smp 8
export OMP_PROC_BIND=close
export GREETING='it'"'"'s "5 $" $(date) `x`'
module purge  # it's clean
source "$HOME/env.sh"
'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name dasksse-12ab34cd-gpu-1 --nthreads 4 --memory-limit 14.90GiB --pool gpu
