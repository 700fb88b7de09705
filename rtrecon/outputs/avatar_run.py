"""What the avatar outputs of one run have in common: the chain, the calibration, the mirror."""

from __future__ import annotations

import json
import logging
import threading
import time

from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.errors import DataError, OutputError
from rtrecon.output import Run
from rtrecon.profiles import DEFAULT_PERSON, ProfileStore

__all__ = ["AvatarRun"]

logger = logging.getLogger(__name__)

_SAVE_EVERY_S = 60.0


class AvatarRun:
    """Stages by their settings, and one calibration for all of them, which is kept.

    Outputs come to it by `of`, on threads of their own. Where the run's source is live and the
    run has a person, what was learnt is kept; whoever owns the run calls `save_if_due` now and
    then and `save` at its end. Films only read what was made for them by ``rtrecon calibrate``;
    takes start from what they were recorded with, unless they have a person.

    Args:
        run: whose outputs they are.

    Attributes:
        is_flipped: outputs are mirrored that were not asked to be, and the other way round.
    """

    def __init__(self, run: Run) -> None:
        self._camera, self._person, self._is_live = run.device, run.person, run.is_live
        self._recorded = run.calibration
        self._lock = threading.Lock()
        self._stages: dict[AvatarSettings, AvatarStage] = {}
        self._store: ProfileStore | None = None
        self._profile: CalibrationProfile | None = None
        self._saved = ""
        self._next_save_s = 0.0
        self._has_failed = False
        self.is_flipped = False

    @classmethod
    def of(cls, run: Run) -> AvatarRun:
        """That of ``run``."""
        return run.shared("avatars", lambda: cls(run))

    @property
    def is_used(self) -> bool:
        """Whether any output is one for avatars."""
        return bool(self._stages)

    def stage(self, settings: AvatarSettings) -> AvatarStage:
        """The stage for ``settings``, the same for all who ask."""
        with self._lock:
            if settings not in self._stages:
                if settings.calibrate:
                    self._find()
                self._stages[settings] = AvatarStage(settings, self._profile)
            return self._stages[settings]

    def start(self) -> CalibrationProfile | None:
        """What all stages start from; None: from nothing."""
        with self._lock:
            self._find()
            return self._profile

    def recalibrate(self) -> None:
        """Take faces as they are in the next second as neutral."""
        for stage in self._all():
            stage.recalibrate()

    def flip(self) -> None:
        """Mirror what is not mirrored, and the other way round."""
        self.is_flipped = not self.is_flipped

    def save_if_due(self) -> None:
        """Keep what was learnt, once a minute."""
        now_s = time.monotonic()
        if now_s >= self._next_save_s:
            if self._next_save_s:
                self.save()
            self._next_save_s = now_s + _SAVE_EVERY_S

    def save(self) -> None:
        """Keep what was learnt; that it cannot be kept is said once."""
        if self._store is None or not self._is_live:
            return
        # All that calibrate have learnt the same: the first speaks for them.
        learnt = next((s.profile() for s in self._all() if s.settings.calibrate), None)
        if learnt is None or (text := _text(learnt)) == self._saved:
            return
        try:
            path = self._store.save(self._camera, self._person, learnt)
        except OutputError as error:
            if not self._has_failed:
                logger.warning("%s; what is learnt of this person ends with the run", error)
            self._has_failed = True
            return
        logger.debug("kept %s", path)
        self._saved, self._has_failed = text, False

    def _all(self) -> list[AvatarStage]:
        with self._lock:
            return list(self._stages.values())

    def _find(self) -> None:
        if self._person:
            if self._store is None:
                self._load(ProfileStore())
        elif self._recorded is not None and self._profile is None:
            try:
                self._profile = CalibrationProfile.from_json(self._recorded)
            except DataError as error:
                raise DataError(f"the calibration of the take: {error}") from error

    def _load(self, store: ProfileStore) -> None:
        self._store = store
        self._profile = store.load(self._camera, self._person)
        whose = f"{self._person} before {self._camera}"
        if self._profile is not None:
            self._saved = _text(self._profile)
            logger.info("calibration of %s: as kept", whose)
        elif self._person != DEFAULT_PERSON:
            logger.info("calibration of %s: there is none yet", whose)


def _text(profile: CalibrationProfile) -> str:
    return json.dumps(profile.to_json())
