from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError, ProgramMissingError
from dasksse.label import (
    CALCULATOR_KINDS,
    calculator_schema,
    check_calculator,
    label_costs,
    load_calculator,
)

if TYPE_CHECKING:
    from dasksse.records import Frames


def section(kind: str, **settings: object) -> RegistrySection:
    """A section that may carry the short form, whatever names the schema lets through."""
    return RegistrySection.model_construct(kind=kind, settings=settings)


def make_nothing() -> str:
    """A factory that makes no calculator."""
    return "nothing"


def test_a_calculator_is_loaded_once_per_process() -> None:
    first = load_calculator(section("toy", rc_A=5.5, charges={"Li": 1.0, "Cl": -1.0}))

    again = load_calculator(section("toy", charges={"Cl": -1.0, "Li": 1.0}, rc_A=5.5))
    other = load_calculator(section("toy", rc_A=5.6))

    assert again is first
    assert other is not first


def test_defaults_written_out_are_the_same_calculator() -> None:
    assert load_calculator(section("toy", rc_A=6.0)) is load_calculator(section("toy"))


@pytest.mark.parametrize("kind", ["toy", "emt", "lj"])
def test_classical_calculators_never_pass_for_dft(kind: str) -> None:
    calculator = load_calculator(section(kind))

    assert calculator.is_surrogate
    assert calculator.functional == "none (classical)"
    assert calculator.gives_virial


def test_settings_reach_the_calculator() -> None:
    calculator = load_calculator(section("lj", epsilon_eV=0.02, sigma_A=3.0, rc_A=7.0))

    parameters = calculator.calculator.parameters
    assert (parameters["epsilon"], parameters["sigma"], parameters["rc"]) == (0.02, 3.0, 7.0)


@pytest.mark.parametrize("factory", ["ase.calculators.emt:EMT", "ase.calculators.emt.EMT"])
def test_any_python_callable_can_make_the_calculator(factory: str) -> None:
    calculator = load_calculator(
        section("python", factory=factory, functional="PBE", is_surrogate=False)
    )

    assert isinstance(calculator.calculator, EMT)
    assert calculator.source == factory
    assert (calculator.functional, calculator.is_surrogate) == ("PBE", False)
    assert calculator.gives_virial


def test_the_short_form_names_the_factory_in_the_kind() -> None:
    calculator = load_calculator(
        section("python:ase.calculators.morse.MorsePotential", settings={"rho0": 5.0})
    )

    assert isinstance(calculator.calculator, MorsePotential)
    assert calculator.calculator.parameters["rho0"] == 5.0


def test_a_python_calculator_is_a_surrogate_unless_said_otherwise() -> None:
    assert load_calculator(section("python:ase.calculators.emt.EMT")).is_surrogate


def test_a_calculator_without_stress_gives_no_virial() -> None:
    calculator = load_calculator(section("python:ase.calculators.tip3p.TIP3P"))

    assert not calculator.gives_virial


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factory": "no_such_package.calc:Make"}, "cannot import 'no_such_package.calc'"),
        ({"factory": "ase.calculators.emt:Make"}, "'ase.calculators.emt' has no 'Make'"),
        (
            {"factory": f"{__name__}:make_nothing", "settings": {"speed": 3}},
            "refuses settings {'speed': 3}",
        ),
        ({"factory": f"{__name__}:make_nothing"}, "returned a str, not an ASE calculator"),
    ],
)
def test_a_factory_that_cannot_be_used_says_why(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"label\.calculator\.settings\.factory") as caught:
        load_calculator(section("python", **settings))

    assert message in str(caught.value)


def test_an_unknown_kind_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        check_calculator(section("sevenet"))

    message = str(caught.value)
    assert message.startswith("label.calculator.kind: found 'sevenet'")
    assert all(kind in message for kind in CALCULATOR_KINDS)
    assert message.endswith("did you mean 'sevennet'?")


@pytest.mark.parametrize(
    ("kind", "settings", "parts"),
    [
        ("sevennet", {"model": "7net-1"}, ["settings.model: found '7net-1'", "'7net-l3i5'"]),
        ("sevennet", {"modle": "7net-0"}, ["settings.modle: unknown key", "mean 'model'?"]),
        ("sevennet", {"model": "7net-0", "modal": "PBE"}, ["only for model 7net-mf-0"]),
        ("sevennet", {"model": "7net-mf-0", "modal": "LDA"}, ["found 'LDA'", "'R2SCAN'"]),
        ("sevennet", {"device": "gpu"}, ["settings.device: found 'gpu'"]),
        ("chgnet", {"model": "0.1"}, ["settings.model: found '0.1'", "'0.3.0'"]),
        ("emt", {"asap": True}, ["settings.asap: unknown key for kind 'emt'; allowed: none"]),
        ("lj", {"rc_A": -1.0}, ["settings.rc_A: found -1.0", "greater than 0"]),
        ("toy", {"charges": {"Xx": 1.0}}, ["settings.charges.Xx", "no chemical element"]),
        ("python", {}, ["settings.factory: missing; kind 'python' needs it"]),
        ("python:nowhere", {}, ["settings.factory: found 'nowhere'"]),
        ("toy:fast", {}, ["label.calculator.kind: found 'toy:fast'"]),
    ],
)
def test_wrong_settings_name_key_value_and_what_is_allowed(
    kind: str, settings: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_calculator(section(kind, **settings))

    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_calculator(section("lj", rc_A=-1.0, sigma_A=0.0))

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("sevennet", {}),
        ("sevennet", {"model": "7net-mf-0", "modal": "R2SCAN", "device": "cuda:1"}),
        ("chgnet", {"model": "r2scan"}),
        ("toy", {"charges": {"Li": 0.8, "Cl": -0.8}, "screening_per_A": 0.0}),
        ("python:somewhere.not_installed.here", {"functional": "PBEsol"}),
    ],
)
def test_right_settings_pass_the_check(kind: str, settings: dict[str, Any]) -> None:
    check_calculator(section(kind, **settings))


def test_checking_and_importing_load_no_machine_learning_library() -> None:
    program = (
        "import sys; from dasksse.label import *; from dasksse.config.schema import "
        "RegistrySection; check_calculator(RegistrySection(kind='sevennet')); "
        "calculator_schema(); print(sorted({'torch', 'sevenn', 'scipy'} & sys.modules.keys()))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "[]"


def test_the_schema_describes_every_setting_of_every_kind() -> None:
    schema = calculator_schema()

    assert schema.keys() == CALCULATOR_KINDS.keys()
    assert json.loads(json.dumps(schema)) == schema
    for kind in schema.values():
        assert kind["description"]
        assert all(item["description"] for item in kind.get("properties", {}).values())


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sevenn", "sevenn.calculator", "chgnet", "chgnet.model.dynamics"):
        monkeypatch.setitem(sys.modules, name, None)

    for kind in ("sevennet", "chgnet"):
        with pytest.raises(ProgramMissingError) as caught:
            load_calculator(section(kind, device="auto"))

        assert f'pip install "dasksse[{kind}]"' in str(caught.value)
        assert caught.value.returncode == 127


def test_the_cost_grows_with_the_number_of_atoms() -> None:
    seconds_per_frame = label_costs(section("sevennet")).seconds_per_frame

    assert seconds_per_frame(50) == pytest.approx(2.8)
    assert seconds_per_frame(400) == pytest.approx(8 * 2.8)


def test_the_cost_of_ones_own_calculator_is_unknown() -> None:
    assert label_costs(section("python:somewhere.make")).seconds_per_frame(50) is None


def test_every_kind_that_runs_here_has_a_cost() -> None:
    not_measured = {"python", "deepmd", "vasp", "espresso", "abacus"}
    kinds = [kind for kind in CALCULATOR_KINDS if kind not in not_measured]
    costs = [label_costs(section(kind)).seconds_per_frame(10) for kind in kinds]

    assert all(cost is not None and cost > 0 for cost in costs)


@pytest.mark.sevennet
@pytest.mark.skipif(find_spec("sevenn") is None, reason="sevenn is not installed")
@pytest.mark.parametrize(
    ("settings", "source", "functional"),
    [
        ({"model": "7net-0"}, "SevenNet 7net-0 (sevenn", "PBE"),
        ({"model": "7net-mf-0", "modal": "R2SCAN"}, "SevenNet 7net-mf-0 R2SCAN", "r2SCAN"),
    ],
)
def test_sevennet_states_model_version_and_functional(
    settings: dict[str, Any], source: str, functional: str
) -> None:
    calculator = load_calculator(section("sevennet", **settings))

    assert calculator.source.startswith(source)
    assert calculator.functional == functional
    assert calculator.is_surrogate


@pytest.mark.sevennet
@pytest.mark.skipif(find_spec("sevenn") is None, reason="sevenn is not installed")
def test_sevennet_loads_and_labels_without_a_word() -> None:
    program = (
        "import numpy as np\n"
        "from ase.build import bulk\n"
        "from dasksse.config.schema import RegistrySection\n"
        "from dasksse.label import Place, load_calculator\n"
        "c = load_calculator(RegistrySection(kind='sevennet', settings={'model': '7net-0'}))\n"
        "e = c.single_point(bulk('LiCl', 'rocksalt', a=5.1), Place()).energy\n"
        "import torch\n"
        "assert np.isfinite(e) and torch.get_num_threads() == 1\n"
    )

    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1"},
    )

    assert (answer.stdout, answer.stderr) == ("", "")


@pytest.mark.sevennet
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")

    with pytest.raises(ConfigError, match="torch sees no GPU"):
        load_calculator(section("sevennet", model="7net-0", device="cuda"))


@pytest.mark.skipif(find_spec("chgnet") is None, reason="chgnet is not installed")
def test_chgnet_labels_a_crystal(frames: Frames) -> None:
    from dasksse.label import label_frames

    calculator = load_calculator(section("chgnet"))

    labels = label_frames(frames, calculator)

    assert labels.is_good.all()
    assert labels.has_virial.all()
    assert calculator.source.startswith("CHGNet 0.3.0 (chgnet")
