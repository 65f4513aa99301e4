#!/usr/bin/env bash

#OAR -n dasksse-12ab34cd-gpu-1
#OAR -q gpu
#OAR --project my_project
#OAR -l /nodes=1/gpu=2,walltime=36:00:30
#OAR -O /run/cluster/logs/dasksse-12ab34cd-gpu-1.log
#OAR -E /run/cluster/logs/dasksse-12ab34cd-gpu-1.err
#OAR -p 'memnode >= 64'
export OMP_PROC_BIND=close
export GREETING='it'"'"'s "5 $" $(date) `x`'
module purge  # it's clean
source "$HOME/env.sh"
'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name dasksse-12ab34cd-gpu-1 --nthreads 4 --memory-limit 14.90GiB --pool gpu
