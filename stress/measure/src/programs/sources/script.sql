CREATE TABLE stone (id INTEGER PRIMARY KEY, name TEXT, weight REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO stone SELECT i, 'stone ' || (i * 7919 % 100103), i % 97 * 1.5 FROM n;
CREATE INDEX by_name ON stone(name);
CREATE TABLE wall AS SELECT name, group_concat(id) AS ids, count(*) AS count FROM stone
    GROUP BY substr(name, 1, 8);
SELECT count(*), sum(weight), min(name), max(name) FROM stone;
SELECT * FROM wall ORDER BY name LIMIT 20;
SELECT a.name, b.name FROM stone a JOIN stone b ON b.id = a.id * 2
    ORDER BY a.weight, a.name LIMIT 10;
SELECT substr(name, 1, 7), count(DISTINCT weight), json_group_array(id % 7) FROM stone
    WHERE id < 2000 GROUP BY 1 ORDER BY 1 LIMIT 10;
DELETE FROM stone WHERE id % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT json_group_array(name) FROM (SELECT name FROM stone ORDER BY id LIMIT 50);
