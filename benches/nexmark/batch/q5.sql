-- q5 without window functions.
SELECT counted.auction, counted.num, counted.window_start
FROM (
    SELECT auction, window_start, window_end, COUNT(*) AS num
    FROM (
        SELECT s - d AS window_start, s - d + INTERVAL '10' SECOND AS window_end, auction
        FROM (SELECT date_bin(INTERVAL '2' SECOND, date_time) AS s, auction FROM bid) CROSS JOIN
            (VALUES (INTERVAL '0' SECOND), (INTERVAL '2' SECOND), (INTERVAL '4' SECOND), (INTERVAL '6' SECOND), (INTERVAL '8' SECOND)) AS before(d)
    )
    GROUP BY auction, window_start, window_end
) counted JOIN (
    SELECT window_start, window_end, MAX(num) AS most
    FROM (
        SELECT auction, window_start, window_end, COUNT(*) AS num
        FROM (
        SELECT s - d AS window_start, s - d + INTERVAL '10' SECOND AS window_end, auction
        FROM (SELECT date_bin(INTERVAL '2' SECOND, date_time) AS s, auction FROM bid) CROSS JOIN
            (VALUES (INTERVAL '0' SECOND), (INTERVAL '2' SECOND), (INTERVAL '4' SECOND), (INTERVAL '6' SECOND), (INTERVAL '8' SECOND)) AS before(d)
    )
        GROUP BY auction, window_start, window_end
    )
    GROUP BY window_start, window_end
) best ON counted.window_start = best.window_start AND counted.window_end = best.window_end
WHERE counted.num >= best.most;
