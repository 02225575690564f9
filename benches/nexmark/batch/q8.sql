-- q8 without window functions.
SELECT p.id, p.name, p.window_start
FROM (
    SELECT id, name, window_start, window_end
    FROM (SELECT date_bin(INTERVAL '10' SECOND, date_time) AS window_start, date_bin(INTERVAL '10' SECOND, date_time) + INTERVAL '10' SECOND AS window_end, id, name FROM person)
    GROUP BY id, name, window_start, window_end
) p JOIN (
    SELECT seller, window_start, window_end
    FROM (SELECT date_bin(INTERVAL '10' SECOND, date_time) AS window_start, date_bin(INTERVAL '10' SECOND, date_time) + INTERVAL '10' SECOND AS window_end, seller FROM auction)
    GROUP BY seller, window_start, window_end
) a ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
