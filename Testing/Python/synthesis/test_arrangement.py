"""Two radiographs exchanged, turned, mirrored and inverted: pixels and geometry go together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.acquisition import oriented
from TomoRayLib.synthesis.arrangement import Pair, pair_warnings
from TomoRayLib.synthesis.settings import Arrangement, arrangement_of
from TomoRayLib.synthesis.suggestions import LEAST_CERTAINTY_OF_SUGGESTION, MISTAKES, Suggestion, chosen

AP = View(ConeBeam(1000.0, 1500.0), Detector(5, 8, (2.0, 0.5), (3.0, -7.0)), 2.0, tilt_deg=1.0)
LATERAL = View(ConeBeam(1100.0, 1800.0), Detector(7, 4, (1.0, 1.5), (-2.0, 4.0)), 88.0, roll_deg=-1.0)


def places(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Two images of a detector's size: where each pixel lies below and right of the central ray, in mm."""
    down, right = np.meshgrid(view.detector.down_mm(), view.detector.right_mm(), indexing="ij")
    return down.astype(np.float32), right.astype(np.float32)


def a_pair() -> Pair:
    rng = np.random.default_rng(5)
    ap, lateral = (rng.random(view.shape, dtype=np.float32) for view in (AP, LATERAL))
    return Pair(ap, lateral, Biplanar(AP, LATERAL))


@pytest.mark.parametrize(
    ("turned_deg", "down_of", "right_of"),
    [
        (0, lambda down, right: down, lambda down, right: right),
        (90, lambda down, right: right, lambda down, right: -down),
        (180, lambda down, right: -down, lambda down, right: -right),
        (270, lambda down, right: -right, lambda down, right: down),
    ],
)
def test_every_pixel_of_a_turned_image_lies_where_the_turned_detector_says(turned_deg, down_of, right_of) -> None:
    """A point at (down, right) from the central ray comes to (right, -down) by a quarter turn clockwise."""
    down, right = places(AP)
    old_down, view = oriented(down, AP, False, False, turned_deg)
    old_right, _ = oriented(right, AP, False, False, turned_deg)
    new_down, new_right = places(view)
    np.testing.assert_allclose(new_down, down_of(old_down, old_right))
    np.testing.assert_allclose(new_right, right_of(old_down, old_right))
    assert (view.beam, view.gantry_angle_deg, view.tilt_deg) == (AP.beam, AP.gantry_angle_deg, AP.tilt_deg)


def test_a_mirrored_image_is_turned_first() -> None:
    pixels = np.arange(40, dtype=np.float32).reshape(5, 8)
    np.testing.assert_array_equal(oriented(pixels, AP, True, False, 90)[0], np.rot90(pixels, -1)[:, ::-1])


def test_exchanged_images_take_their_detectors_along_and_leave_the_directions() -> None:
    pair = a_pair()
    other = pair.arranged(Arrangement(swapped=True))
    np.testing.assert_array_equal(other.ap, pair.lateral)
    assert (other.views.ap.detector, other.views.ap.beam) == (LATERAL.detector, LATERAL.beam)
    assert (other.views.ap.gantry_angle_deg, other.views.ap.tilt_deg) == (2.0, 1.0)
    assert (other.views.lateral.gantry_angle_deg, other.views.lateral.roll_deg) == (88.0, -1.0)
    again = other.arranged(Arrangement(swapped=True))
    np.testing.assert_array_equal(again.ap, pair.ap)
    assert again.views == pair.views


def test_views_read_from_exchanged_files_go_back_with_their_images() -> None:
    """Files that state their view are in the wrong order: the angles are those of the images."""
    pair = a_pair()
    wrong = Pair(pair.lateral, pair.ap, Biplanar(LATERAL, AP))
    assert wrong.arranged(Arrangement(swapped=True)).views == pair.views


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_what_is_tried_is_done_to_the_images_as_they_are_taken_now(turn: int, flip: bool) -> None:
    """Whatever is done already: another quarter turn is one of the image that the network got."""
    given = Arrangement(flip_ap=flip, turn_ap=turn, flip_lateral=not flip, turn_lateral=turn)
    pair = a_pair()
    now = pair.arranged(given)
    expected = {
        "the lateral radiograph mirrored": (now.ap, now.lateral[:, ::-1]),
        "the AP radiograph turned by 90 degrees clockwise": (np.rot90(now.ap, -1), now.lateral),
        "the lateral radiograph turned by 90 degrees anticlockwise": (now.ap, np.rot90(now.lateral)),
        "both radiographs turned upside down": (np.rot90(now.ap, 2), np.rot90(now.lateral, 2)),
        "both radiographs upside down as in a mirror": (now.ap[::-1], now.lateral[::-1]),
    }
    for words, (ap, lateral) in expected.items():
        tried = pair.arranged(MISTAKES[words](given))
        np.testing.assert_array_equal(tried.ap, ap, words)
        np.testing.assert_array_equal(tried.lateral, lateral, words)


def test_all_that_is_tried_differs() -> None:
    tried = [change(Arrangement()) for change in MISTAKES.values()]
    assert all(a != b for a, b in itertools.combinations([Arrangement(), *tried], 2))


def test_settings_and_arrangement_are_the_same_thing() -> None:
    for how in (
        Arrangement(),
        *(change(Arrangement(flip_ap=True, invert_lateral=True)) for change in MISTAKES.values()),
    ):
        assert arrangement_of(how.settings()) == Arrangement(**{**vars(how), "swapped": False})
    assert arrangement_of({"invert": True, "turn_ap": 90}) == Arrangement(
        invert_ap=True, invert_lateral=True, turn_ap=90
    )


def test_an_image_is_turned_by_quarters_only() -> None:
    with pytest.raises(InputError, match="0, 90, 180 or 270 degrees, got 45") as caught:
        Arrangement(turn_lateral=45)
    assert caught.value.field == "turn_lateral"


def test_only_a_clearly_better_and_certain_arrangement_is_suggested() -> None:
    given = Arrangement(flip_lateral=True)
    low = dict.fromkeys(MISTAKES, 0.05)
    better = {**low, "the lateral radiograph mirrored": 0.31}
    suggestion = chosen(0.2, better, given)
    assert isinstance(suggestion, Suggestion)
    assert suggestion.to_json_dict(given) == {
        "question": "Did you mean the lateral radiograph mirrored?",
        "swap": False,
        "settings": {"flip_lateral": False},
        "certainty": 0.31,
        "certainty_as_given": 0.2,
    }
    assert chosen(0.3, better, given) is None
    assert chosen(0.1, {**low, "the lateral radiograph mirrored": LEAST_CERTAINTY_OF_SUGGESTION - 0.01}, given) is None
    tie = {**better, "both radiographs turned upside down": 0.315}
    both = chosen(0.2, tie, given)
    assert both is not None
    assert both.question == "Did you mean the lateral radiograph mirrored, or both radiographs turned upside down?"
    assert both.arrangement == Arrangement()
    swapped = chosen(0.1, {**low, "the two radiographs the other way round": 0.3}, given)
    assert swapped is not None
    assert swapped.to_json_dict(given) | {"certainty": 0, "certainty_as_given": 0} == {
        "question": "Did you mean the two radiographs the other way round?",
        "swap": True,
        "settings": {},
        "certainty": 0,
        "certainty_as_given": 0,
    }


def test_guesses_before_the_run_see_the_images_upright() -> None:
    """Air left and right of a body that is stored turned by 90 degrees: its edges are found after turning alone."""
    body = np.ones((60, 90), np.float32)
    body[:, 30:60] = 0.0  # air is bright, and not as flat as a border: inverted
    body += 0.1 * np.random.default_rng(0).random(body.shape, dtype=np.float32)
    lateral = (1 - body + 0.02).astype(np.float32)
    stored = Radiograph(np.rot90(body).copy(), (0.7, 2.0)), Radiograph(lateral, (2.0, 0.7))
    views = Biplanar(
        View(ConeBeam(1000.0, 1500.0), Detector(90, 60, (0.7, 2.0)), 0.0),
        View(ConeBeam(1000.0, 1500.0), Detector(60, 90, (2.0, 0.7)), 90.0),
    )
    (warning,) = pair_warnings(*stored, views, Arrangement(turn_ap=90))
    assert warning.startswith("The AP radiograph looks inverted")
    assert pair_warnings(*stored, views, Arrangement(turn_ap=90, invert_ap=True)) == []
