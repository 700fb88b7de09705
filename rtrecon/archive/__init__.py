"""Hours of video and folders of pictures as tables: the same on one core or a cluster's.

`units` says what there is to do, `work` does one piece of it, `joining` makes a video's files of
its pieces, `engine` runs the pieces here or on Ray, `job` sees to it that all are done.
"""
