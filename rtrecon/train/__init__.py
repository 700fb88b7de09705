"""Training of the face DPT on synthetic heads; needs the extra ``train``.

Never loaded at run time.
"""
