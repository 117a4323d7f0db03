"""The tables of answers.sqlite. What they forbid no mistake in a program can write."""

SCHEMA = """
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
