"""The answers of a study in SQLite: what was acknowledged is on the disk, and counted once.

Every change is a transaction of its own, with the write-ahead log flushed before it counts as done
(`synchronous=FULL`), so that whoever was told "saved" is right even if the power fails. An answer carries an ID that
the browser made up: sent again, because the acknowledgement was lost on its way, it changes nothing. The rules
(one answer a question, scales from 1 to 5) are constraints of the schema, which no mistake in a program can break.

Listeners are known by a random token, of which only the hash is kept. No address, name or time zone is stored.
"""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fauxley.errors import FauxleyError
from fauxley.listening.assignment import Kind, assign
from fauxley.listening.questions import Answer, Opinion, Question, Rating
from fauxley.listening.study import ANSWERS_FILE, CANNOT_TELL, Study, Task
from fauxley.serialization import one_line, parse_json, reading

_SCHEMA = """
CREATE TABLE study (id TEXT PRIMARY KEY) STRICT;
CREATE TABLE listener (
  number INTEGER PRIMARY KEY CHECK (number >= 0),
  token_sha256 BLOB NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
  started_at REAL NOT NULL,
  seen_at REAL NOT NULL
) STRICT;
CREATE TABLE trial (
  id TEXT PRIMARY KEY,
  listener INTEGER NOT NULL REFERENCES listener (number),
  place INTEGER NOT NULL CHECK (place >= 0),
  kind TEXT NOT NULL CHECK (kind IN ('volume', 'headphones', 'label', 'opinion', 'pair', 'verdict')),
  unit TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'rated', 'repeat', 'anchor')),
  batch INTEGER NOT NULL,
  UNIQUE (listener, place)
) STRICT;
CREATE INDEX trial_unit ON trial (unit) WHERE purpose <> 'repeat' AND kind IN ('opinion', 'pair', 'verdict');
CREATE TABLE sound (
  token TEXT PRIMARY KEY,
  trial TEXT NOT NULL REFERENCES trial (id),
  slot INTEGER NOT NULL,
  clip TEXT NOT NULL,
  UNIQUE (trial, slot)
) STRICT;
CREATE TABLE answer (
  trial TEXT PRIMARY KEY REFERENCES trial (id),
  answer_id TEXT NOT NULL UNIQUE CHECK (length(answer_id) BETWEEN 16 AND 64),
  choice TEXT CHECK (length(choice) BETWEEN 1 AND 40),
  quality INTEGER CHECK (quality BETWEEN 1 AND 5),
  ease INTEGER CHECK (ease BETWEEN 1 AND 5),
  diversity INTEGER CHECK (diversity BETWEEN 1 AND 5),
  plays INTEGER NOT NULL CHECK (plays BETWEEN 0 AND 1000),
  answered_at REAL NOT NULL,
  seconds REAL NOT NULL CHECK (seconds >= 0),
  CHECK (CASE WHEN choice IS NULL THEN quality IS NOT NULL AND ease IS NOT NULL AND diversity IS NOT NULL
              ELSE quality IS NULL AND ease IS NULL AND diversity IS NULL END)
) STRICT;
"""


_ABANDONED_SECONDS = 3600.0  # who was not seen for so long no longer counts as about to rate
_BUSY_SECONDS = 5.0  # to wait for another program that writes into the database
_QUEUE_SECONDS = 20.0  # to wait for other listeners
_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
_TASKS: Mapping[str, Task] = {"label": "label", "opinion": "label", "pair": "pairs", "verdict": "real-or-generated"}
_FIXED_CHOICES: Mapping[Kind, frozenset[str]] = {
    "volume": frozenset({"ok"}),
    "headphones": frozenset({"1", "2", "3"}),
    "pair": frozenset({"first", "second", "neither"}),
    "verdict": frozenset({"real", "generated"}),
}


class UnknownListenerError(FauxleyError):
    """The token is none of this study's."""


class RefusedAnswerError(FauxleyError):
    """An answer to a question that is not the listener's next one, or that the question does not have."""


class BusyError(FauxleyError):
    """The database cannot be used at the moment; nothing was changed, and trying again may help."""


class Answers:
    """The database of a study, safe to use from many threads and beside other processes.

    Args:
        folder: of the study.
        study: what was read from it.
        busy_seconds: to wait for another program that writes.

    Every method may raise `BusyError`: another program holds the database, the disk is full, or it fails.
    """

    def __init__(self, folder: Path, study: Study, busy_seconds: float = _BUSY_SECONDS) -> None:
        self.study = study
        self._lock = threading.Lock()
        self._path = folder / ANSWERS_FILE
        try:
            self._db = sqlite3.connect(self._path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._prepare()
        except (sqlite3.Error, BusyError) as error:
            raise FauxleyError(f"{self._path} cannot be used: {error}") from error

    def close(self) -> None:
        """Close the database; what was acknowledged is safe without."""
        with self._lock:
            self._db.close()

    def start(self, now: float) -> str:
        """Register a new listener: decide all questions in advance and return the listener's token.

        Args:
            now: seconds since 1970.
        """
        token = secrets.token_urlsafe(32)
        with self._transaction() as db:
            (number,) = db.execute("SELECT COALESCE(MAX(number) + 1, 0) FROM listener").fetchone()
            trials = assign(self.study, number, _loads(db, now))
            db.execute("INSERT INTO listener VALUES (?, ?, ?, ?)", (number, _hash(token), now, now))
            for place, trial in enumerate(trials):
                name = secrets.token_urlsafe(16)
                row = (name, number, place, trial.kind, trial.unit, trial.purpose, trial.batch)
                db.execute("INSERT INTO trial VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                sounds = [(secrets.token_urlsafe(16), name, slot, clip) for slot, clip in enumerate(trial.clips)]
                db.executemany("INSERT INTO sound VALUES (?, ?, ?, ?)", sounds)
        return token

    def num_listeners(self) -> int:
        """The number of listeners who ever began."""
        with self._use() as db:
            return int(db.execute("SELECT COUNT(*) FROM listener").fetchone()[0])

    def step(self, token: str, now: float) -> Question:
        """The question that comes next for a listener.

        Raises:
            UnknownListenerError: nobody has this token.
        """
        with self._transaction() as db:
            listener = _listener(db, token)
            db.execute("UPDATE listener SET seen_at = MAX(seen_at, ?) WHERE number = ?", (now, listener))
            return _step(db, listener)

    def answer(self, token: str, answer: Answer, now: float) -> Question:
        """Save an answer and return what comes next. When this returns, the answer is on the disk.

        Raises:
            UnknownListenerError: nobody has this token.
            RefusedAnswerError: it is not the listener's next question, was answered otherwise, or has no such answer.
        """
        with self._transaction() as db:
            listener = _listener(db, token)
            asked = db.execute(
                "SELECT kind, answer_id FROM trial LEFT JOIN answer ON answer.trial = trial.id "
                "WHERE id = ? AND listener = ?",
                (answer.trial, listener),
            ).fetchone()
            if asked is None:
                raise RefusedAnswerError("there is no such question")
            kind, answered = asked
            if answered == answer.answer_id:
                return _step(db, listener)
            if answered is not None:
                raise RefusedAnswerError("this question was answered already")
            if _step(db, listener).trial != answer.trial:
                raise RefusedAnswerError("another question comes first")
            self._check(kind, answer)
            try:
                db.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(db, listener, answer, now))
            except sqlite3.IntegrityError as error:
                raise RefusedAnswerError("this answer cannot be") from error
            db.execute("UPDATE listener SET seen_at = MAX(seen_at, ?) WHERE number = ?", (now, listener))
            return _step(db, listener)

    def clip_of(self, token: str, sound: str) -> str | None:
        """The clip that a sound's token stands for, if this listener is to hear it now or next."""
        with self._use() as db:
            listener = _listener(db, token)
            step = _step(db, listener)
            if sound not in (*step.sounds, *step.upcoming):
                return None
            return str(db.execute("SELECT clip FROM sound WHERE token = ?", (sound,)).fetchone()[0])

    def ratings(self) -> list[Rating]:
        """All answers, by listener and in the order of asking."""
        rows = self._all(
            "SELECT listener, kind, unit, purpose, batch, "
            "(SELECT json_group_array(clip) FROM (SELECT clip FROM sound WHERE trial = t.id ORDER BY slot)), "
            "choice, quality, ease, diversity, plays, answered_at, seconds "
            "FROM answer a JOIN trial t ON t.id = a.trial ORDER BY listener, place"
        )
        with reading(f"{self._path} is damaged"):
            return [self._fitting(_rating(row)) for row in rows]

    def finished(self) -> dict[int, bool]:
        """Listeners by number, and whether they answered everything."""
        rows = self._all(
            "SELECT listener, COUNT(*) = COUNT(answer.trial) FROM trial "
            "LEFT JOIN answer ON answer.trial = trial.id GROUP BY listener ORDER BY listener"
        )
        return {int(number): bool(done) for number, done in rows}

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with self._use() as db:
            return db.execute(query).fetchall()

    def _prepare(self) -> None:
        """Make the tables, or see that they are these, with nothing in them that they forbid.

        A stranger's database may have views, triggers and values that no program of ours would have written.
        """
        self._db.execute("PRAGMA trusted_schema=OFF")
        with self._transaction() as db:
            if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
                _make_tables(db)
                db.execute("INSERT INTO study VALUES (?)", (self.study.id,))
            with sqlite3.connect(":memory:", isolation_level=None) as like:
                _make_tables(like)
                if _tables(db) != _tables(like):
                    raise FauxleyError(f"{self._path} is not a database of answers; move it away")
            found = db.execute("PRAGMA integrity_check(1)").fetchone()
            if found != ("ok",) or db.execute("PRAGMA foreign_key_check").fetchone():
                raise FauxleyError(f"{self._path} is damaged; restore it from a copy, or move it away")
            if db.execute("SELECT id FROM study").fetchall() != [(self.study.id,)]:
                raise FauxleyError(f"{self._path} holds the answers of another study; move it away")

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """The database, for this thread alone. Of a damaged one it is said that it is."""
        if not self._lock.acquire(timeout=_QUEUE_SECONDS):
            raise BusyError("too many listeners at once; try again in a moment")
        try:
            yield self._db
        except sqlite3.ProgrammingError as error:  # closed, since the server is ending
            raise BusyError("the answers cannot be used any more") from error
        except (sqlite3.DatabaseError, OverflowError) as error:
            name = getattr(error, "sqlite_errorname", "")  # what Python's module itself complains of has none
            if name.startswith(_PASSING):
                raise BusyError(f"the answers cannot be used just now: {one_line(error)}") from error
            raise FauxleyError(f"{self._path} is damaged: {one_line(error)}") from error
        finally:
            self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._use() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself may have undone it
                    db.execute("ROLLBACK")
                raise

    def _fitting(self, rating: Rating) -> Rating:
        """Return the rating if this study has such a question; raise otherwise."""
        study, kind, clips = self.study, rating.kind, rating.clips
        if kind in ("volume", "headphones"):
            asked = {study.volume} if kind == "volume" else {tones.id for tones in study.tones}
            fits = rating.unit in asked and clips == (rating.unit,)
        else:
            unit = study.unit[rating.unit]
            one = len(clips) == 1 and kind in ("label", "verdict")
            whole = sorted(clips) == sorted(unit.clips) and kind in ("opinion", "pair")
            fits = unit.task == _TASKS[kind] and set(clips) <= set(unit.clips) and (one or whole)
        value = rating.choice if rating.opinion is None else rating.opinion
        if not fits or value is None:
            raise FauxleyError("it holds an answer to a question that the study does not have")
        self._check(kind, Answer("", "", value))
        return rating

    def _check(self, kind: Kind, answer: Answer) -> None:
        if isinstance(answer.value, Opinion):
            valid = kind == "opinion"
        elif kind == "label":
            valid = answer.value == CANNOT_TELL or answer.value in self.study.labels
        else:
            valid = answer.value in _FIXED_CHOICES.get(kind, ())
        if not valid:
            raise RefusedAnswerError("this question has no such answer")


def _make_tables(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)


def _tables(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _listener(db: sqlite3.Connection, token: str) -> int:
    row = db.execute("SELECT number FROM listener WHERE token_sha256 = ?", (_hash(token),)).fetchone()
    if row is None:
        raise UnknownListenerError("nobody is known by this token")
    return int(row[0])


def _loads(db: sqlite3.Connection, now: float) -> dict[str, int]:
    """The number of ratings that each unit has, or is about to get from a listener who was there within the hour."""
    return dict(
        db.execute(
            "SELECT unit, COUNT(*) FROM trial t JOIN listener ON number = listener "
            "LEFT JOIN answer a ON a.trial = t.id "
            "WHERE purpose <> 'repeat' AND kind IN ('opinion', 'pair', 'verdict') "
            "AND (a.trial IS NOT NULL OR seen_at > ?) GROUP BY unit",
            (now - _ABANDONED_SECONDS,),
        ).fetchall()
    )


def _step(db: sqlite3.Connection, listener: int) -> Question:
    rows = db.execute(
        "SELECT id, kind, batch, answer.trial IS NOT NULL FROM trial LEFT JOIN answer ON answer.trial = trial.id "
        "WHERE listener = ? ORDER BY place",
        (listener,),
    ).fetchall()
    done = sum(answered for *_, answered in rows)
    open_ = [(name, kind, batch) for name, kind, batch, answered in rows if not answered]
    if not open_:
        return Question("", "end", (), (), done, len(rows))
    name, kind, batch = open_[0]
    part = [row[0] for row in rows if (row[1], row[2]) == (kind, batch)]
    return Question(
        trial=name,
        kind=kind,
        sounds=_sounds(db, name),
        upcoming=_sounds(db, open_[1][0]) if len(open_) > 1 else (),
        done=done,
        total=len(rows),
        place=part.index(name),
        size=len(part),
        batch=batch,
        num_batches=1 + max(row[2] for row in rows),
    )


def _sounds(db: sqlite3.Connection, trial: str) -> tuple[str, ...]:
    return tuple(row[0] for row in db.execute("SELECT token FROM sound WHERE trial = ? ORDER BY slot", (trial,)))


def _row(db: sqlite3.Connection, listener: int, answer: Answer, now: float) -> tuple[Any, ...]:
    (seen_at,) = db.execute("SELECT seen_at FROM listener WHERE number = ?", (listener,)).fetchone()
    if isinstance(answer.value, Opinion):
        value = (None, answer.value.quality, answer.value.ease, answer.value.diversity)
        return (answer.trial, answer.answer_id, *value, answer.plays, now, max(0.0, now - seen_at))
    return (answer.trial, answer.answer_id, answer.value, None, None, None, answer.plays, now, max(0.0, now - seen_at))


def _rating(row: tuple[Any, ...]) -> Rating:
    listener, kind, unit, purpose, batch, clips, choice, quality, ease, diversity, plays, answered_at, seconds = row
    opinion = None if quality is None else Opinion(quality, ease, diversity)
    return Rating(
        listener, kind, unit, purpose, batch, tuple(parse_json(clips)), choice, opinion, plays, answered_at, seconds
    )
