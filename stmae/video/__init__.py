"""Frames from video files and image folders. OpenCV is set up here, before anything of this room uses it."""

import os

# FFmpeg and OpenCV print each broken packet; `health` reports it once. OpenCV reads both variables when it loads.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

# Frames are small and each worker reads its own source: OpenCV's thread pool would only compete with them.
cv2.setNumThreads(0)
