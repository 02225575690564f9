EXPLAIN CREATE MATERIALIZED VIEW departures_hourly AS
SELECT origin, window_start, window_end, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay
FROM TUMBLE(flights, scheduled, INTERVAL '1' HOUR) GROUP BY origin, window_start, window_end;
