"""Displacements, diffusion, conductivity and Arrhenius fits of finished trajectories."""
