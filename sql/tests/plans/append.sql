EXPLAIN CREATE MATERIALIZED VIEW jfk AS SELECT carrier, dep_delay * 60 AS seconds, scheduled FROM flights WHERE origin = 'JFK';
