"""What `compare_peers.py` and `mediapipe_depth.py` run in environments of their own."""
