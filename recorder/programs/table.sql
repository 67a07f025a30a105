-- Builds a table and its indexes, and queries them. Nothing is random: a linear congruence stands
-- in.
CREATE TABLE stone(id INTEGER PRIMARY KEY, quarry TEXT NOT NULL, kind TEXT, mass REAL, note TEXT);

WITH RECURSIVE n(i, x) AS (
  SELECT 1, 12345
  UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 14000
)
INSERT INTO stone
SELECT i,
       'quarry ' || (x / 65536 % 40),
       CASE x / 7 % 4 WHEN 0 THEN 'granite' WHEN 1 THEN 'slate' WHEN 2 THEN 'gritstone' END,
       (x % 100000) / 37.0,
       substr('a note that is longer for some of the stones than it is for the others',
              1, x / 1024 % 70)
FROM n;

CREATE INDEX stone_by_quarry ON stone(quarry, mass);
CREATE INDEX stone_by_kind ON stone(kind);

SELECT kind, count(*), round(avg(mass), 3), max(length(note)) FROM stone
  GROUP BY kind ORDER BY kind;
SELECT quarry, count(*), round(total(mass), 2) FROM stone
  GROUP BY quarry HAVING count(*) > 90 ORDER BY 3 DESC LIMIT 10;
SELECT count(*) FROM stone a JOIN stone b ON a.quarry = b.quarry AND b.mass < a.mass
  WHERE a.id % 50 = 0;
SELECT length(group_concat(upper(note), '|')) FROM stone WHERE kind IS NOT NULL;
SELECT kind, length(json_group_array(json_object('id', id, 'mass', round(mass, 1)))) FROM stone
  GROUP BY kind ORDER BY kind;
SELECT count(DISTINCT replace(note, 'stone', 'rock') || kind) FROM stone;

BEGIN;
UPDATE stone SET note = note || ' (weighed)', mass = mass * 1.01 WHERE kind = 'slate';
DELETE FROM stone WHERE mass < 100;
ROLLBACK;

UPDATE stone SET mass = mass + 1 WHERE id % 3 = 0;
DELETE FROM stone WHERE id % 7 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), round(sum(mass), 2) FROM stone;
