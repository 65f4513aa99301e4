"""Every preset is valid, and every command in the README parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from pymatgen.core import Composition

from dasksse.cli.main import _parser
from dasksse.cli.validate import count_atoms, load_checked
from dasksse.config.load import differing_keys, load_config
from dasksse.config.presets import list_presets, write_preset
from dasksse.config.schema import TrainSection
from dasksse.config.studies import MdStudySection
from dasksse.loop.estimate import estimate_run
from dasksse.loop.prepare import is_database_id
from dasksse.structures import read_structure

ROOT = Path(__file__).resolve().parents[2]
FULL = ("huang2021-lgps", "huang2021-lsips", "huang2021-lsnps")
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
LONGEST_SUMMARY = 100


def _name(path: Path) -> str:
    return path.stem


def _readme_commands() -> list[str]:
    """Every line of the README's shell blocks that calls dasksse, without its comment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in dict.fromkeys(lines) if "dasksse" in line and "pip" not in line]


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_preset_is_valid(path: Path) -> None:
    loaded = load_config(path)

    assert loaded.config.name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_structure_files_of_a_preset_exist(path: Path) -> None:
    loaded = load_config(path)

    files = [s.structure for s in loaded.config.systems if not is_database_id(s.structure)]

    assert files
    assert [name for name in files if not (loaded.base_dir / name).is_file()] == []


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_preset_names_known_calculator_engine_and_picker(path: Path) -> None:
    _, engine = load_checked(path)

    assert engine.kind


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_first_line_of_a_preset_is_its_summary(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# ")
    assert 20 < len(first) <= LONGEST_SUMMARY
    assert list_presets()[path.stem] == first.removeprefix("# ")


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_written_preset_is_complete_and_gives_the_same_run(path: Path, tmp_path: Path) -> None:
    target = write_preset(path.stem, tmp_path / "new")

    written, _ = load_checked(target)

    assert written.config == load_config(path).config


def test_huang_schedule_is_table_one_of_the_paper() -> None:
    config = load_config(ROOT / "configs" / "huang2021-lgps.yaml").config
    hot_and_cold = (50, 100, 200, 300, 500, 700, 900, 1200)
    three = (300, 700, 1200)

    lines = config.explore.schedule
    table = [(line.ensemble[:3], line.temperatures_K) for line in lines]
    cells = [config.system(line.systems[0]).supercell for line in lines]
    disorder = [config.system(line.systems[0]).cation_ordering is not None for line in lines]

    assert table == [
        ("npt", hot_and_cold),
        ("npt", three),
        ("npt", hot_and_cold),
        ("npt", three),
        ("nvt", hot_and_cold),
    ]
    assert cells == [(1, 1, 1), (2, 2, 2), (1, 1, 1), (2, 2, 2), (2, 2, 2)]
    assert disorder == [False, False, True, True, False]
    assert {(line.lengths_ps[0], line.lengths_ps[-1]) for line in lines} == {(1.0, 10.0)}
    assert [line.max_generations for line in lines] == [4, 4, 4, 4, 3]
    assert config.stop.max_generations == 19


@pytest.mark.parametrize("name", FULL)
def test_huang_numbers_are_those_of_the_paper(name: str) -> None:
    config = load_config(ROOT / "configs" / f"{name}.yaml").config

    assert config.start.n_frames == 590
    assert (config.select.trust.low_eV_A, config.select.trust.high_eV_A) == (0.12, 0.25)
    assert {
        config.select.labels_of(system)
        for line in config.explore.schedule
        for system in line.systems
        if config.system(system).supercell == (2, 2, 2)
    } == {150}
    assert {
        config.select.labels_of(system)
        for line in config.explore.schedule
        for system in line.systems
        if config.system(system).supercell == (1, 1, 1)
    } == {300}
    assert config.stop.accurate_share == 0.995
    assert config.production is not None
    assert config.production.train_steps == 4_000_000 == 10 * config.train.steps
    assert config.production.length_ps == 1000
    assert config.production.ensemble == "nvt"


@pytest.mark.parametrize("name", FULL)
def test_studies_have_the_lengths_and_temperatures_of_table_three(name: str) -> None:
    studies = load_config(ROOT / "configs" / f"{name}.yaml").config.studies

    assert studies.functional.temperatures_K == (400, 500, 666, 800, 1000)
    assert studies.disorder.temperatures_K == (300, 400, 500, 666)
    assert studies.disorder.n_orderings == 30
    for study in (studies.simulation_time, studies.cell_size):
        assert study.temperatures_K == (300, 400, 500, 600)
        assert study.length_ps == 10_000
    atoms = [50 * a * b * c for a, b, c in studies.cell_size.supercells]
    assert atoms == [50, 200, 400, 900, 1600]
    for other in (studies.functional, studies.disorder, studies.thermal_expansion):
        assert other.length_ps == 1000


@pytest.mark.parametrize(
    ("name", "a_A", "c_A"),
    [
        ("huang2021-lgps", 8.6941, 12.5994),
        ("huang2021-lsips", 8.6512, 12.5095),
        ("huang2021-lsnps", 8.7057, 12.7389),
    ],
)
def test_diffusion_runs_in_the_measured_cell_of_table_two(
    name: str, a_A: float, c_A: float
) -> None:
    loaded = load_config(ROOT / "configs" / f"{name}.yaml")
    assert loaded.config.production is not None
    system = loaded.config.system(loaded.config.production.systems[0])

    structure = read_structure(system.structure, base_dir=loaded.base_dir)

    lengths = structure.lattice.abc
    assert lengths == pytest.approx((a_A, a_A, c_A), abs=5e-5)
    repeats = system.supercell[0] * system.supercell[1] * system.supercell[2]
    assert round(structure.composition.num_atoms) * repeats == 900


@pytest.mark.parametrize("element", ["Si", "Ge", "Sn"])
def test_ordered_crystal_has_whole_atoms_and_the_formula(element: str) -> None:
    name = f"structures/Li10{element}P2S12_ordered.cif"

    structure = read_structure(name, base_dir=ROOT / "configs")

    assert structure.is_ordered
    assert structure.composition == Composition(f"Li20{element}2P4S24")
    distances = structure.distance_matrix + 9 * np.eye(len(structure))
    assert distances.min() > 1.9


def test_first_version_labels_as_many_structures_as_the_paper() -> None:
    config = load_config(ROOT / "configs" / "huang2020-lgps.yaml").config

    candidates = [
        config.select.labels_of(system) * line.max_generations
        for line in config.explore.schedule
        for system in line.systems
    ]

    assert config.start.n_frames + sum(candidates) == 2390
    assert {line.lengths_ps[0] for line in config.explore.schedule} == {0.3}
    assert {line.lengths_ps[-1] for line in config.explore.schedule} == {10.0}
    assert {(line.replicas, len(line.pressures_GPa)) for line in config.explore.schedule} == {
        (10, 5)
    }


@pytest.mark.parametrize("material", ["lgps", "lsips", "lsnps"])
def test_functionals_differ_in_their_labels_alone(material: str) -> None:
    pbe, pbesol = (
        load_config(ROOT / "configs" / f"huang2021-{material}-{functional}.yaml").config
        for functional in ("pbe", "pbesol")
    )

    old, new = pbe.model_dump(mode="json"), pbesol.model_dump(mode="json")
    differences = {key for key, _, _ in differing_keys(old, new)}

    assert differences == {
        "name",
        "label.calculator.settings.functional",
        "studies.functional.name",
    }


def test_every_published_scheme_has_a_small_twin() -> None:
    names = {path.stem for path in CONFIGS}
    published = {
        name
        for name in names
        if name.startswith(("huang", "universal")) and not name.endswith("-small")
    }

    twins = {f"{name.removesuffix('-pbe')}-small" for name in published}

    assert published
    assert twins <= names


@pytest.mark.parametrize("name", ["universal-lgps-family", "universal-lgps-family-small"])
def test_the_universal_model_sees_all_three_materials_at_every_step(name: str) -> None:
    config = load_config(ROOT / "configs" / f"{name}.yaml").config
    materials = {
        system.name: {metal for metal in ("Si", "Ge", "Sn") if metal in system.structure}
        for system in config.systems
    }

    explored = [line.systems for line in config.explore.schedule]

    assert set(config.type_map) == {"Li", "Si", "Ge", "Sn", "P", "S"}
    for systems in (config.start.systems, explored[0]):
        assert set().union(*(materials[system] for system in systems)) == {"Si", "Ge", "Sn"}
    assert all(len(one) == 1 for one in materials.values())


def test_the_type_embedding_that_the_universal_preset_names_is_taken_by_its_schema() -> None:
    path = ROOT / "configs" / "universal-lgps-family.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if "descriptor: {type: se_atten_v2" in line)
    shown = " ".join(line.removeprefix("#") for line in lines[start : start + 2])

    config = load_config(path).config
    values = config.train.model_dump(mode="json") | yaml.safe_load(shown)

    section = TrainSection.model_validate(values)
    assert section.compress
    assert section.descriptor["neuron"] == config.train.descriptor["neuron"]


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem.endswith("-small")], ids=_name)
def test_small_twin_is_small(path: Path) -> None:
    loaded = load_config(path)
    config, studies = loaded.config, loaded.config.studies

    work = estimate_run(config, count_atoms(loaded))

    assert set(count_atoms(loaded).values()) == {50}
    assert work.core_hours is not None
    assert work.core_hours < 0.5
    assert sum(line.max_generations for line in config.explore.schedule) <= 3
    md = [
        value
        for value in (getattr(studies, name) for name in type(studies).model_fields)
        if isinstance(value, MdStudySection)
    ]
    assert len(md) == 7
    assert max(study.length_ps for study in md) <= 3
    assert studies.locality.forces_from == "models"


def test_readme_shows_every_command() -> None:
    shown = {shlex.split(line)[1] for line in _readme_commands() if line.startswith("dasksse")}

    choices = next(a for a in _parser([])._actions if a.dest == "command").choices
    assert shown == set(choices or ())


@pytest.mark.parametrize("line", _readme_commands())
def test_command_of_the_readme_parses(line: str) -> None:
    words = shlex.split(line)
    program = next(i for i, word in enumerate(words) if "dasksse" in word)

    arguments = words[program + 1 :]
    if words[program] == "dasksse.run":
        arguments = ["run", *arguments]
    parsed = _parser(arguments).parse_args(arguments)

    assert parsed.command == arguments[0]


def test_presets_named_in_the_readme_exist() -> None:
    named = {shlex.split(line)[2] for line in _readme_commands() if " init " in line}

    assert named - {"--list"} <= set(list_presets())


def test_configs_named_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    named = set(re.findall(r"configs/[\w./-]+\.yaml", text))

    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
