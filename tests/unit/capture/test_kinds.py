"""What a url means, and how it is shown."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.capture.kinds import Kind, kind_of, shown
from edge_node.errors import BadInput


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("shelf.jpg", Kind.PHOTO),
        ("/photos/SHELF.PNG", Kind.PHOTO),
        ("clip.mp4", Kind.VIDEO),
        ("/videos.d/clip", Kind.VIDEO),
        ("/dev/video0", Kind.CAMERA),
        ("/dev/v4l/by-id/usb-cam", Kind.CAMERA),
        ("rtsp://10.0.0.7/stream", Kind.RTSP),
        ("RTSPS://user:secret@cam.local:322/1", Kind.RTSP),
        ("rtsp://[fe80::1]:554/1", Kind.RTSP),
    ],
)
def test_the_kind_follows_from_the_url(url: str, kind: Kind) -> None:
    assert kind_of(url, is_folder=False) is kind


def test_a_folder_is_a_folder_whatever_its_name() -> None:
    assert kind_of("/photos.jpg", is_folder=True) is Kind.FOLDER


@pytest.mark.parametrize("url", ["", "http://cam/stream", "ftp://x/y.mp4", "rtsp://", "rtsp:///path", "rtsp://u:p@/x"])
def test_what_is_not_supported_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        kind_of(url, is_folder=False)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_a_password_is_never_shown_whatever_it_is_made_of(password: str) -> None:
    assert shown(f"rtsp://admin:{password}@10.0.0.7/stream") == "rtsp://…@10.0.0.7/stream"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("rtsp://10.0.0.7/user=admin&password=hunter2&channel=1", "rtsp://10.0.0.7/user=…&password=…&channel=…"),
        ("rtsp://10.0.0.7:554/user=admin_password=hunter2_channel=1_stream=0.sdp", "rtsp://10.0.0.7:554/user=…"),
        ("rtsp://cam/live?token=hunter2", "rtsp://cam/live?token=…"),
        ("/films/day=1/a.mp4", "/films/day=1/a.mp4"),
    ],
)
def test_neither_is_a_password_in_path_or_query(url: str, text: str) -> None:
    assert shown(url) == text


@given(st.text())
def test_any_text_has_a_kind_or_is_refused(url: str) -> None:
    with suppress(BadInput):
        assert kind_of(url, is_folder=False) in Kind
