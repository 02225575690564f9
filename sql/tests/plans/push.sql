EXPLAIN SELECT upper(carrier) AS c FROM flights WHERE dep_delay IS NOT NULL EMIT CHANGES;
