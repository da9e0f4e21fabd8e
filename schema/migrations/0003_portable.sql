-- Packed files: their seal, what they leave out, and when words were edited, for merging.

-- Whether versions of this project were left out, so that numbers have gaps: a part of a project, packed.
ALTER TABLE project ADD COLUMN partial INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1));

-- When somebody last edited the words about it; NULL is never. Only the merge policy `newest` looks at it.
ALTER TABLE artifact ADD COLUMN edited_at TEXT;
ALTER TABLE run ADD COLUMN edited_at TEXT;
ALTER TABLE version ADD COLUMN edited_at TEXT;

-- What a packed file vouches for; the first write takes the row away.
CREATE TABLE seal (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  digest TEXT NOT NULL CHECK (length(digest) = 64 AND NOT digest GLOB '*[^0-9a-f]*'),
  mark TEXT NOT NULL CHECK (length(mark) = 64 AND NOT mark GLOB '*[^0-9a-f]*')
) STRICT;

-- Blobs whose bytes were left out on purpose: known by digest and size, to be had from another project.
CREATE TABLE absent (
  blob INTEGER PRIMARY KEY REFERENCES blob (id)
) STRICT;

DROP VIEW files;
CREATE VIEW files AS
SELECT a.name || ':v' || v.number AS reference, e.path, coalesce(b.digest, e.uri_digest) AS digest,
       coalesce(b.size, e.uri_size) AS size, e.uri, e.extra,
       EXISTS (SELECT 1 FROM absent o WHERE o.blob = e.blob) AS left_out
FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest_part mp ON mp.manifest = v.manifest
JOIN entry e ON e.part = mp.part LEFT JOIN blob b ON b.id = e.blob
WHERE v.deleted_at IS NULL;
