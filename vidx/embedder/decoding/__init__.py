"""From files to frames: what is a video, where its clips lie, and decoding them in isolation."""
