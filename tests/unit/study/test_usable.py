from __future__ import annotations

from study_player import point

from dasksse.study.usable import point_notes, usable


def test_points_without_D_without_error_or_with_a_molten_framework_are_not_compared() -> None:
    good = point(600.0, 1e-10, 1e-11)
    points = [
        good,
        point(600.0, None, None),
        point(600.0, 1e-10, 0.0),
        point(900.0, 1e-9, 1e-11, framework_melted=["P"]),
        point(900.0, 1e-9, 1e-11, framework_broken=0.3),
        {**good, "framework_broken": None, "framework_melted": None},
    ]

    assert usable(points) == [points[0], points[5]]


def test_what_melted_or_is_outside_trust_is_told() -> None:
    points = [
        point(600.0, 1e-10, 1e-11),
        point(900.0, 1e-9, 1e-11, framework_melted=["P"]),
        point(1000.0, 1e-9, 1e-11, untrusted_fraction=0.25),
    ]

    notes = point_notes(
        points, untrusted_share=0.01, name=lambda p: f"Salt at {p['temperature_K']:g} K"
    )

    assert len(notes) == 2
    assert notes[0] == "Salt at 900 K is left out: the framework did not hold (P)."
    assert notes[1].startswith(
        "Salt at 1000 K: 25.0 % of frames are above the upper trust level"
    )
