"""Networks: one paper, one file, one class.

Each maps ``(N, C, h, w)`` float RGB in [0, 1] to ``(N, C, scale*h, scale*w)`` float32, unclamped, for any height and
width of at least one pixel. A network built with ``image_channels`` takes and makes images of as many channels.
"""
