from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stmae.evaluation.inference import segments as ranges_of
from stmae.serving.segments import cut


@given(frames=st.integers(0, 60), length=st.integers(5, 20))
def test_a_stream_is_cut_where_the_scoring_functions_cut_a_video(frames, length):
    video = np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, 3)

    segments = list(cut(iter(video), length))

    ranges = list(ranges_of(frames, length))
    assert [(int(s[0].max()), int(s[-1].max()) + 1) for s in segments] == ranges
    assert all(s.shape[1:] == (1, 1, 3) for s in segments)


def test_a_length_without_a_scored_frame_is_refused():
    with pytest.raises(ValueError, match="at least 5"):
        next(cut(iter([]), 4))
