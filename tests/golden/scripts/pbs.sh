#!/usr/bin/env bash

#PBS -N dasksse-12ab34cd-gpu-1
#PBS -q gpu
#PBS -A my_project
#PBS -l select=1:ncpus=8:mem=30518mb:ngpus=2
#PBS -l walltime=36:00:30
#PBS -j oe
#PBS -o /run/cluster/logs/dasksse-12ab34cd-gpu-1.log
#PBS -r n
#PBS -S /bin/bash
#PBS -l place=excl
export OMP_PROC_BIND=close
export GREETING='it'"'"'s "5 $" $(date) `x`'
module purge  # it's clean
source "$HOME/env.sh"
'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name dasksse-12ab34cd-gpu-1 --nthreads 4 --memory-limit 14.90GiB --pool gpu
