#!/usr/bin/env bash

#SBATCH -J dasksse-12ab34cd-gpu-1
#SBATCH -p gpu
#SBATCH -A my_project
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=30G
#SBATCH -t 36:00:30
#SBATCH -o /run/cluster/logs/dasksse-12ab34cd-gpu-1.log
#SBATCH --no-requeue
#SBATCH --gres=gpu:2
#SBATCH --qos=long
export OMP_PROC_BIND=close
export GREETING='it'"'"'s "5 $" $(date) `x`'
module purge  # it's clean
source "$HOME/env.sh"
'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name dasksse-12ab34cd-gpu-1 --nthreads 4 --memory-limit 14.90GiB --pool gpu
