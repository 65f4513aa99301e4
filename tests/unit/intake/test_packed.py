from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from walks import SKEWED, Walk, make_walk

from dasksse.errors import ProgramMissingError, TrajectoryError
from dasksse.intake import Hints, read_trajectory

if TYPE_CHECKING:
    from pathlib import Path

formats = pytest.importorskip("mdtraj.formats", reason="pip install 'dasksse[mdtraj]'")


def poscar(path: Path, walk: Walk) -> Path:
    write(
        path, Atoms(walk.symbols, walk.wrapped[0], cell=walk.cells[0], pbc=True), format="vasp"
    )
    return path


def write_xtc(path: Path, walk: Walk) -> Path:
    with formats.XTCTrajectoryFile(str(path), "w") as file:
        times = np.arange(len(walk.cells)) * 0.1
        file.write(walk.wrapped / 10.0, times, box=walk.cells / 10.0)
    return path


def test_xtc_is_in_nm_and_ps(tmp_path: Path) -> None:
    walk = make_walk(SKEWED, breathing=0.005)
    hints = Hints(topology=poscar(tmp_path / "POSCAR", walk))

    found = read_trajectory(write_xtc(tmp_path / "a.xtc", walk), hints=hints)

    fractions = found.all_positions @ np.linalg.inv(found.cells())
    assert fractions - fractions[0] == pytest.approx(
        walk.fractions - walk.fractions[0], abs=2e-3
    )
    assert found.frame_interval_ps == pytest.approx(0.1, rel=1e-6)
    assert found.numbers.tolist() == walk.numbers.tolist()


def test_dcd_takes_a_cell_where_it_has_none(tmp_path: Path) -> None:
    walk = make_walk()
    path = tmp_path / "a.dcd"
    with formats.DCDTrajectoryFile(str(path), "w") as file:
        file.write(walk.wrapped)
    topology = poscar(tmp_path / "POSCAR", walk)

    with pytest.raises(TrajectoryError, match=r"a\.dcd.*no cell"):
        read_trajectory(path, hints=Hints(dt_fs=50.0, topology=topology))
    found = read_trajectory(
        path, hints=Hints(dt_fs=50.0, topology=topology, cell=9.0 * np.eye(3))
    )
    moves = found.all_positions - found.all_positions[0]
    assert moves == pytest.approx(walk.unwrapped - walk.unwrapped[0], abs=1e-4)


def test_a_topology_is_needed_and_must_fit(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_xtc(tmp_path / "a.xtc", walk)
    with pytest.raises(TrajectoryError, match=r"a\.xtc: XTC files do not name.*--topology"):
        read_trajectory(path)
    fewer = Walk(walk.numbers[1:], walk.fractions[:, 1:], walk.cells)
    topology = poscar(tmp_path / "POSCAR", fewer)
    with pytest.raises(TrajectoryError, match=r"a\.xtc has 16 atoms, --topology .*POSCAR 15"):
        read_trajectory(path, hints=Hints(topology=topology))


def test_without_mdtraj_the_way_to_get_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = make_walk(n_frames=3)
    path = write_xtc(tmp_path / "a.xtc", walk)
    monkeypatch.setitem(sys.modules, "mdtraj.formats", None)
    with pytest.raises(ProgramMissingError, match=r"pip install 'dasksse\[mdtraj\]'"):
        read_trajectory(path, hints=Hints(topology=poscar(tmp_path / "POSCAR", walk)))
