EXPLAIN CREATE MATERIALIZED VIEW busiest WITH (partitions = 2) AS
SELECT origin || '-' || dest AS route, window_end, COUNT(*) AS n, MAX(distance) / 2 AS half
FROM HOP(flights, scheduled, INTERVAL '1' HOUR, INTERVAL '6' HOUR)
WHERE distance > 100 GROUP BY origin || '-' || dest, window_end HAVING COUNT(*) > 3 EMIT FINAL;
