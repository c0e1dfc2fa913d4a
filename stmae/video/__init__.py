"""Frames from video files and image folders. OpenCV is set up here, before anything of this room uses it."""

import os

# OpenCV writes videos and reads pictures; what it says of them on stderr is said once, by who called it.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

# Frames are small and each worker reads its own source: OpenCV's thread pool would only compete with them.
cv2.setNumThreads(0)
