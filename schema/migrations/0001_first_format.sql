-- The first format. schema/README.md tells what each table means and which rules hold between them.
-- No CHECK calls json_valid: with trusted_schema off, SQLite 3.40 refuses it; the library writes only JSON, verify reads it.

-- The project itself: one row.
CREATE TABLE project (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  uid TEXT NOT NULL CHECK (length(uid) = 26),
  created_at TEXT NOT NULL
) STRICT;

-- A name with one type and a sequence of versions; next_number only ever grows.
CREATE TABLE artifact (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),
  type TEXT NOT NULL,
  description TEXT,
  next_number INTEGER NOT NULL DEFAULT 0 CHECK (next_number >= 0),
  created_at TEXT NOT NULL,
  deleted_at TEXT
) STRICT;

-- The Python, platform and packages that runs share; content-addressed.
CREATE TABLE environment (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
  document TEXT NOT NULL
) STRICT;

-- One execution.
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE CHECK (length(uid) BETWEEN 1 AND 128),
  name TEXT NOT NULL,
  job_type TEXT,
  "group" TEXT,
  status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'killed', 'crashed')),
  config TEXT NOT NULL DEFAULT '{}',
  summary TEXT NOT NULL DEFAULT '{}',
  notes TEXT,
  exit_code INTEGER,
  error TEXT,
  code TEXT NOT NULL DEFAULT '{}',
  environment INTEGER REFERENCES environment (id),
  host TEXT,
  user TEXT,
  pid INTEGER,
  process TEXT,
  next_step INTEGER NOT NULL DEFAULT 0 CHECK (next_step >= 0),
  started_at TEXT NOT NULL,
  ended_at TEXT,
  deleted_at TEXT
) STRICT;
CREATE INDEX run_name ON run (name);
CREATE INDEX run_job_type ON run (job_type);
CREATE INDEX run_environment ON run (environment) WHERE environment IS NOT NULL;
CREATE INDEX run_running ON run (id) WHERE status = 'running';

CREATE TABLE run_tag (
  run INTEGER NOT NULL REFERENCES run (id),
  tag TEXT NOT NULL,
  PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_tag_tag ON run_tag (tag, run);

-- What a run logged by step: numbers in value (NULL is NaN), anything else as JSON in document.
CREATE TABLE metric (
  run INTEGER NOT NULL REFERENCES run (id),
  name TEXT NOT NULL,
  step INTEGER NOT NULL CHECK (step >= 0),
  value REAL,
  document TEXT CHECK (document IS NULL OR value IS NULL),
  at TEXT NOT NULL,
  PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;

-- Bytes without a name. They lie in chunk or beside the file, in <stem>.blobs/aa/<62 hex digits>.
CREATE TABLE blob (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64 AND NOT digest GLOB '*[^0-9a-f]*'),
  size INTEGER NOT NULL CHECK (size >= 0)
) STRICT;

CREATE TABLE chunk (
  id INTEGER PRIMARY KEY,
  blob INTEGER NOT NULL REFERENCES blob (id),
  seq INTEGER NOT NULL CHECK (seq >= 0),
  data BLOB NOT NULL,
  UNIQUE (blob, seq)
) STRICT;

-- The sorted entries of versions; equal content has one manifest.
CREATE TABLE manifest (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64 AND NOT digest GLOB '*[^0-9a-f]*'),
  file_count INTEGER NOT NULL CHECK (file_count >= 0),
  size INTEGER NOT NULL CHECK (size >= 0)
) STRICT;

-- A run of neighbouring entries, immutable and shared by every manifest that holds the same run.
CREATE TABLE part (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64 AND NOT digest GLOB '*[^0-9a-f]*')
) STRICT;

CREATE TABLE manifest_part (
  manifest INTEGER NOT NULL REFERENCES manifest (id),
  seq INTEGER NOT NULL CHECK (seq >= 0),
  part INTEGER NOT NULL REFERENCES part (id),
  PRIMARY KEY (manifest, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_part_part ON manifest_part (part, manifest);

-- One file: bytes (blob), a reference to bytes elsewhere (uri), or both when it points into another version.
CREATE TABLE entry (
  part INTEGER NOT NULL REFERENCES part (id),
  path TEXT NOT NULL CHECK (length(path) > 0),
  blob INTEGER REFERENCES blob (id),
  uri TEXT,
  uri_digest TEXT,
  uri_size INTEGER CHECK (uri_size IS NULL OR uri_size >= 0),
  extra TEXT,
  PRIMARY KEY (part, path),
  CHECK (blob IS NOT NULL OR uri IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_blob ON entry (blob, part) WHERE blob IS NOT NULL;

-- One immutable content of an artifact. A deleted version keeps its row and edges and loses its entries.
CREATE TABLE version (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE CHECK (length(uid) = 26),
  artifact INTEGER NOT NULL REFERENCES artifact (id),
  number INTEGER NOT NULL CHECK (number >= 0),
  manifest INTEGER NOT NULL REFERENCES manifest (id),
  description TEXT,
  metadata TEXT NOT NULL DEFAULT '{}',
  step INTEGER CHECK (step IS NULL OR step >= 0),
  created_at TEXT NOT NULL,
  deleted_at TEXT,
  UNIQUE (artifact, number)
) STRICT;
CREATE INDEX version_manifest ON version (manifest, artifact);

CREATE TABLE version_tag (
  version INTEGER NOT NULL REFERENCES version (id),
  tag TEXT NOT NULL,
  PRIMARY KEY (version, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_tag_tag ON version_tag (tag, version);

-- A movable name for one version within an artifact; latest is one.
CREATE TABLE alias (
  artifact INTEGER NOT NULL REFERENCES artifact (id),
  name TEXT NOT NULL,
  version INTEGER NOT NULL REFERENCES version (id),
  protected INTEGER NOT NULL DEFAULT 0 CHECK (protected IN (0, 1)),
  PRIMARY KEY (artifact, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_version ON alias (version);
CREATE INDEX alias_name ON alias (name);

-- Every move of every alias, appended and never changed.
CREATE TABLE alias_event (
  id INTEGER PRIMARY KEY,
  artifact INTEGER NOT NULL REFERENCES artifact (id),
  name TEXT NOT NULL,
  from_version INTEGER REFERENCES version (id),
  to_version INTEGER REFERENCES version (id),
  at TEXT NOT NULL,
  user TEXT,
  run INTEGER REFERENCES run (id)
) STRICT;
CREATE INDEX alias_event_alias ON alias_event (artifact, name);

-- The two kinds of edge: version -> run and run -> version. Together they are acyclic.
CREATE TABLE consumed (
  run INTEGER NOT NULL REFERENCES run (id),
  version INTEGER NOT NULL REFERENCES version (id),
  use_as TEXT,
  PRIMARY KEY (run, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX consumed_version ON consumed (version, run);

CREATE TABLE produced (
  version INTEGER PRIMARY KEY REFERENCES version (id),
  run INTEGER NOT NULL REFERENCES run (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX produced_run ON produced (run, version);

-- A run logged content that was already a version: a fact about determinism, not an edge.
CREATE TABLE reproduced (
  version INTEGER NOT NULL REFERENCES version (id),
  run INTEGER NOT NULL REFERENCES run (id),
  metadata TEXT NOT NULL DEFAULT '{}',
  at TEXT NOT NULL,
  PRIMARY KEY (version, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX reproduced_run ON reproduced (run, version);

-- What people read with sqlite3, Datasette or project.sql: names instead of ids.
CREATE VIEW runs AS
SELECT r.uid AS id, r.name, r.job_type, r."group", r.status, r.config, r.summary, r.notes, r.exit_code, r.error,
       r.code, e.document AS environment, r.host, r.user, r.started_at, r.ended_at, r.deleted_at
FROM run r LEFT JOIN environment e ON e.id = r.environment;

CREATE VIEW artifacts AS
SELECT a.name, a.type, a.description, a.created_at, a.deleted_at,
       (SELECT count(*) FROM version v WHERE v.artifact = a.id AND v.deleted_at IS NULL) AS version_count
FROM artifact a;

CREATE VIEW versions AS
SELECT a.name || ':v' || v.number AS reference, a.name, v.number, a.type, v.uid, m.digest, m.file_count, m.size,
       v.description, v.metadata, r.uid AS produced_by, v.step, v.created_at, v.deleted_at
FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest m ON m.id = v.manifest
LEFT JOIN produced p ON p.version = v.id LEFT JOIN run r ON r.id = p.run;

CREATE VIEW edges AS
SELECT 'consumed' AS kind, a.name || ':v' || v.number AS source, r.uid AS target, c.use_as
FROM consumed c JOIN version v ON v.id = c.version JOIN artifact a ON a.id = v.artifact JOIN run r ON r.id = c.run
UNION ALL
SELECT 'produced', r.uid, a.name || ':v' || v.number, NULL
FROM produced p JOIN version v ON v.id = p.version JOIN artifact a ON a.id = v.artifact JOIN run r ON r.id = p.run;

CREATE VIEW reproductions AS
SELECT a.name || ':v' || v.number AS reference, r.uid AS run, p.metadata, p.at
FROM reproduced p JOIN version v ON v.id = p.version JOIN artifact a ON a.id = v.artifact JOIN run r ON r.id = p.run;

CREATE VIEW files AS
SELECT a.name || ':v' || v.number AS reference, e.path, coalesce(b.digest, e.uri_digest) AS digest,
       coalesce(b.size, e.uri_size) AS size, e.uri, e.extra
FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest_part mp ON mp.manifest = v.manifest
JOIN entry e ON e.part = mp.part LEFT JOIN blob b ON b.id = e.blob
WHERE v.deleted_at IS NULL;

CREATE VIEW aliases AS
SELECT a.name, l.name AS alias, a.name || ':v' || v.number AS reference, l.protected
FROM alias l JOIN artifact a ON a.id = l.artifact JOIN version v ON v.id = l.version;

CREATE VIEW alias_history AS
SELECT a.name, h.name AS alias, a.name || ':v' || f.number AS "from", a.name || ':v' || t.number AS "to",
       h.at, h.user, r.uid AS run
FROM alias_event h JOIN artifact a ON a.id = h.artifact LEFT JOIN version f ON f.id = h.from_version
LEFT JOIN version t ON t.id = h.to_version LEFT JOIN run r ON r.id = h.run;

CREATE VIEW metrics AS
SELECT r.uid AS run, m.name, m.step, m.value, m.document, m.at
FROM metric m JOIN run r ON r.id = m.run;

CREATE VIEW tags AS
SELECT 'run' AS kind, r.uid AS node, t.tag FROM run_tag t JOIN run r ON r.id = t.run
UNION ALL
SELECT 'version', a.name || ':v' || v.number, t.tag
FROM version_tag t JOIN version v ON v.id = t.version JOIN artifact a ON a.id = v.artifact;
