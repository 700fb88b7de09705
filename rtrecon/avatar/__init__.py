"""A face as avatars want it: one `AvatarFrame` a result, and the wire formats that carry it."""
