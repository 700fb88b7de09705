"""Training of the face DPT on synthetic heads; needs the extra ``train``, never loaded at run time."""
