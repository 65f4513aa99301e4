#!/usr/bin/env bash

#BSUB -J dasksse-12ab34cd-gpu-1
#BSUB -q gpu
#BSUB -P "my_project"
#BSUB -n 8
#BSUB -R "span[hosts=1]"
#BSUB -M 32000000
#BSUB -W 36:01
#BSUB -o /run/cluster/logs/dasksse-12ab34cd-gpu-1.log
#BSUB -rn
#BSUB -gpu "num=2"
#BSUB -R "rusage[mem=32GB]"
export OMP_PROC_BIND=close
export GREETING='it'"'"'s "5 $" $(date) `x`'
module purge  # it's clean
source "$HOME/env.sh"
'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name dasksse-12ab34cd-gpu-1 --nthreads 4 --memory-limit 14.90GiB --pool gpu
