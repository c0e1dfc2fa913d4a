"""Ground truth: each format the datasets ship reads to the same thing, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from stmae.datasets import labels
from stmae.datasets.avenue import masks_of_mat_file
from stmae.datasets.manifest import DatasetError
from stmae.datasets.ped2 import mask_images, ranges_of_m_file, ranges_of_mat_file
from stmae.scoring.raw import CLIP_FRAMES
from stmae.video.images import image_files


def test_ranges_are_one_based_and_inclusive() -> None:
    assert labels.from_ranges(Path("x.m"), [(1, 2), (5, 5)], 6).tolist() == [1, 1, 0, 0, 1, 0]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_ranges_and_frame_labels_are_equivalent(abnormal: list[bool]) -> None:
    edges = np.flatnonzero(np.diff([0, *map(int, abnormal), 0]))
    ranges = [(int(a) + 1, int(b)) for a, b in edges.reshape(-1, 2)]
    assert labels.from_ranges(Path("x.m"), ranges, len(abnormal)).tolist() == list(map(int, abnormal))


def test_a_range_beyond_the_clip_names_the_file_and_both_counts() -> None:
    with pytest.raises(DatasetError, match=r"UCSDped2\.m: abnormal frames 61:180 for a clip of 150 frames"):
        labels.from_ranges(Path("UCSDped2.m"), [(61, 180)], 150)


def test_the_official_m_file_may_have_several_ranges_in_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "UCSDped2.m"
    path.write_text("TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [5:90, 140:200];\n")
    assert ranges_of_m_file(path) == [[(5, 90), (140, 200)]]


def test_an_m_file_without_ranges_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "UCSDped2.m"
    path.write_text("nothing here\n")
    with pytest.raises(DatasetError, match=r"UCSDped2\.m: no `gt_frame"):
        ranges_of_m_file(path)


def test_frame_arrays_must_have_one_zero_or_one_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "01.npy"
    np.save(path, np.array([[0, 1, 1]]))
    assert labels.frame_array(path, 3).tolist() == [0, 1, 1]
    with pytest.raises(DatasetError, match=r"01\.npy: 3 labels for a clip of 4 frames"):
        labels.frame_array(path, 4)
    np.save(path, np.array([0, 2]))
    with pytest.raises(DatasetError, match="labels other than 0"):
        labels.frame_array(path, 2)
    np.save(path, np.zeros((2, 3)))
    with pytest.raises(DatasetError, match=r"shape \(2, 3\)"):
        labels.frame_array(path, 6)
    path.write_text("not an array")
    with pytest.raises(DatasetError, match=r"01\.npy: not a readable \.npy array"):
        labels.frame_array(path, 6)


def test_a_pickle_instead_of_labels_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "01.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match="not a readable"):
        labels.frame_array(path, 1)


def test_masks_are_read_from_npy_npz_images_and_mat_files(tmp_path: Path) -> None:
    masks = np.zeros((4, 12, 16), np.uint8)
    masks[2, 3:6, 4:9] = 1
    np.save(tmp_path / "a.npy", masks.astype(bool))
    np.savez_compressed(tmp_path / "a.npz", masks=masks)
    cells = np.empty((1, 4), dtype=object)
    for i, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{i:03}.png"), mask * 255)
        cells[0, i] = mask
    savemat(tmp_path / "1_label.mat", {"volLabel": cells})
    for found in (
        labels.mask_array(tmp_path / "a.npy"),
        labels.mask_array(tmp_path / "a.npz"),
        mask_images(tmp_path),
        masks_of_mat_file(tmp_path / "1_label.mat"),
    ):
        assert np.array_equal(np.stack(list(found)), masks)


def test_broken_truth_names_its_file(tmp_path: Path) -> None:
    mat, npz = tmp_path / "1_label.mat", tmp_path / "1.npz"
    savemat(mat, {"other": 1})
    with pytest.raises(DatasetError, match=r"1_label\.mat: no variable 'volLabel'"):
        masks_of_mat_file(mat)
    mat.write_text("no MATLAB file" * 20)
    with pytest.raises(DatasetError, match=r"1_label\.mat: not a readable \.mat"):
        masks_of_mat_file(mat)
    savemat(mat, {"volLabel": np.zeros((3, 40, 60))})
    with pytest.raises(DatasetError, match=r"1_label\.mat: 'volLabel' is not a cell of masks"):
        masks_of_mat_file(mat)
    savemat(mat, {"gt": np.zeros((1, 3))})
    with pytest.raises(DatasetError, match=r"1_label\.mat: 'gt' is not a cell of \[2, ranges\]"):
        ranges_of_mat_file(mat)
    np.savez(npz, other=np.zeros(1))
    with pytest.raises(DatasetError, match=r"1\.npz: no array 'masks'"):
        labels.mask_array(npz)
    with pytest.raises(DatasetError, match="no mask images"):
        list(mask_images(tmp_path))


@given(top=st.integers(0, 40), left=st.integers(0, 60), side=st.integers(1, 30))
def test_shrinking_never_loses_an_anomaly(top: int, left: int, side: int) -> None:
    mask = np.zeros((72, 96), np.uint8)
    mask[top : top + side, left : left + side] = 1
    small = labels.shrink(mask, 32)
    assert small.shape == (32, 32)
    assert small.any()
    assert not labels.shrink(np.zeros_like(mask), 32).any()


def test_ped2_labels_agree_in_every_source(shared_data: Path) -> None:
    root = shared_data / "ped2"
    official, circulated = ranges_of_m_file(root / "UCSDped2.m"), ranges_of_mat_file(root / "ped2.mat")
    assert official == circulated
    clips = sorted((root / "testing/frames").iterdir())
    counts = [len(image_files(clip)) for clip in clips]
    from_ranges = [labels.from_ranges(root, ranges, n) for ranges, n in zip(official, counts, strict=True)]
    everything = np.load(shared_data / "labels/frame_labels_ped2.npy").reshape(-1)
    assert len(everything) == sum(counts) == 2010
    assert np.array_equal(np.concatenate(from_ranges), everything)
    for clip in ("02", "06"):
        masks = [mask.any() for mask in mask_images(root / "testing/masks" / clip)]
        assert np.array_equal(masks, from_ranges[int(clip) - 1])


def test_avenue_masks_agree_with_the_circulated_labels(shared_data: Path) -> None:
    everything = np.load(shared_data / "labels/frame_labels_avenue.npy").reshape(-1)
    assert len(everything) == 15324
    folder = shared_data / "avenue-sample/ground_truth_demo/testing_label_mask"
    # Clip 21 is the last of the 21, and the circulated labels have the clips in order: it ends the array.
    last = [mask.any() for mask in masks_of_mat_file(folder / "21_label.mat")]
    assert np.array_equal(everything[-len(last) :], last)


@pytest.mark.parametrize(
    ("name", "clips", "frames", "scored"),
    [("ped2", 12, 2010, 1962), ("avenue", 21, 15324, 15240), ("shanghai", 107, 40791, 40363)],
)
def test_circulated_labels_have_the_known_counts(
    shared_data: Path, name: str, clips: int, frames: int, scored: int
) -> None:
    everything = np.load(shared_data / f"labels/frame_labels_{name}.npy").reshape(-1)
    assert everything.size == frames
    assert set(np.unique(everything)) == {0, 1}
    # The first frames of each clip have no prediction.
    assert frames - CLIP_FRAMES * clips == scored
