import json, numpy as np, sys, subprocess, os
from pathlib import Path
from ase.build import bulk
from ase.calculators.emt import EMT
rng=np.random.default_rng(1)
base=bulk("Cu","fcc",a=3.74,cubic=True); base.numbers[0]=79  # Cu3Au
base=base*(2,2,2)
d=Path("data/set.000"); d.mkdir(parents=True,exist_ok=True)
C,B,E,F,V=[],[],[],[],[]
for i in range(300):
    a=base.copy(); s=rng.normal(scale=0.03,size=(3,3)); s=(s+s.T)/2+np.eye(3)*(1+rng.normal(scale=.03))
    a.set_cell(a.cell@s,scale_atoms=True); a.positions+=rng.normal(scale=rng.uniform(.02,.25),size=a.positions.shape)
    a.calc=EMT(); 
    C.append(a.positions.ravel());B.append(a.cell[:].ravel());E.append(a.get_potential_energy());F.append(a.get_forces().ravel())
    V.append(-a.get_volume()*a.get_stress(voigt=False).ravel())
for n,x in dict(coord=C,box=B,energy=E,force=F,virial=V).items(): np.save(d/f"{n}.npy",np.array(x))
tm=["Cu","Au"]
Path("data/type_map.raw").write_text("\n".join(tm)); np.savetxt("data/type.raw",[tm.index(s) for s in base.get_chemical_symbols()],fmt="%d")
for m in range(2):
    inp={"model":{"type_map":tm,"descriptor":{"type":"se_e2_a","sel":[60,30],"rcut":4.5,"rcut_smth":2.5,"neuron":[4,8],"axis_neuron":4,"seed":m,"precision":"float64","type_one_side":True},
     "fitting_net":{"neuron":[12,12],"seed":m,"precision":"float64"}},
     "learning_rate":{"type":"exp","start_lr":1e-2,"stop_lr":1e-5,"decay_steps":100},
     "loss":{"type":"ener","start_pref_e":.02,"limit_pref_e":1,"start_pref_f":1000,"limit_pref_f":10,"start_pref_v":1,"limit_pref_v":1},
     "training":{"training_data":{"systems":["../data"],"batch_size":1},"numb_steps":12000,"seed":m,"disp_freq":1000,"save_freq":12000}}
    w=Path(f"m{m}");w.mkdir(exist_ok=True);(w/"input.json").write_text(json.dumps(inp))
    env=dict(os.environ,OMP_NUM_THREADS="1",DP_INTRA_OP_PARALLELISM_THREADS="1",DP_INTER_OP_PARALLELISM_THREADS="1",TF_CPP_MIN_LOG_LEVEL="3")
    dp="/work/main/.venv/bin/dp"
    subprocess.run([dp,"--tf","train","input.json","--skip-neighbor-stat"],cwd=w,env=env,check=True,stdout=open(w/"o","w"),stderr=subprocess.STDOUT)
    subprocess.run([dp,"--tf","freeze","-o","model.pb"],cwd=w,env=env,check=True,stdout=open(w/"o2","w"),stderr=subprocess.STDOUT)
