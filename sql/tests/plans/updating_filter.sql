EXPLAIN CREATE MATERIALIZED VIEW per_carrier AS
SELECT carrier, COUNT(*) FILTER (WHERE dep_delay > 15) AS late, SUM(flight) AS s FROM flights WHERE 1 = 1 GROUP BY carrier;
