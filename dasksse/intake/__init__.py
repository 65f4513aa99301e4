"""Trajectories from anywhere: read, checked, unwrapped and put into a store."""
