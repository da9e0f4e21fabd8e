-- Links into collections, versions of other projects, and a time to live.

-- The project that a foreign artifact belongs to, by name and uid; NULL for this project's own. The artifact's name is
-- then `project/name`, and its versions are nodes without content here: their deleted_at is never NULL.
ALTER TABLE artifact ADD COLUMN project TEXT CHECK (project IS NULL OR length(project) > 0);
ALTER TABLE artifact ADD COLUMN project_uid TEXT CHECK ((project IS NULL) = (project_uid IS NULL));

-- Seconds after created_at from which `prune(expired=True)` may take a version; NULL is never.
ALTER TABLE version ADD COLUMN ttl INTEGER CHECK (ttl IS NULL OR ttl > 0);

-- A version of a collection that stands for a version of another artifact: same content, own number and aliases.
CREATE TABLE link (
  version INTEGER PRIMARY KEY REFERENCES version (id),
  source INTEGER NOT NULL REFERENCES version (id),
  CHECK (version <> source)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_source ON link (source, version);

-- What other projects do with versions of this one: a run there consumed it, or a collection there links to it.
CREATE TABLE outside_use (
  version INTEGER NOT NULL REFERENCES version (id),
  kind TEXT NOT NULL CHECK (kind IN ('consumed', 'linked')),
  project_uid TEXT NOT NULL CHECK (length(project_uid) = 26),
  project TEXT NOT NULL,
  node TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (version, kind, project_uid, node)
) STRICT, WITHOUT ROWID;

CREATE VIEW outside_uses AS
SELECT a.name || ':v' || v.number AS reference, u.kind, u.project, u.node, u.at
FROM outside_use u JOIN version v ON v.id = u.version JOIN artifact a ON a.id = v.artifact;

DROP VIEW artifacts;
CREATE VIEW artifacts AS
SELECT a.name, a.type, a.description, a.created_at, CASE WHEN a.project IS NULL THEN a.deleted_at END AS deleted_at,
       (SELECT count(*) FROM version v WHERE v.artifact = a.id AND (v.deleted_at IS NULL OR a.project IS NOT NULL))
         AS version_count,
       a.project,
       EXISTS (SELECT 1 FROM version v JOIN link k ON k.version = v.id WHERE v.artifact = a.id) AS collection
FROM artifact a;

-- Of a link, words and producer are those of what it stands for.
DROP VIEW versions;
CREATE VIEW versions AS
SELECT a.name || ':v' || v.number AS reference, a.name, v.number, a.type, v.uid, m.digest, m.file_count, m.size,
       s.description, s.metadata, r.uid AS produced_by, s.step, v.created_at,
       CASE WHEN a.project IS NULL THEN v.deleted_at END AS deleted_at, s.ttl, sa.project,
       CASE WHEN k.source IS NOT NULL THEN sa.name || ':v' || s.number END AS link_to
FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest m ON m.id = v.manifest
LEFT JOIN link k ON k.version = v.id JOIN version s ON s.id = coalesce(k.source, v.id)
JOIN artifact sa ON sa.id = s.artifact
LEFT JOIN produced p ON p.version = s.id LEFT JOIN run r ON r.id = p.run;
