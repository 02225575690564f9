-- Hot items: the auctions with the most bids in each hopping window.
CREATE MATERIALIZED VIEW q5 AS
SELECT counted.auction, counted.num, counted.window_start
FROM (
    SELECT auction, window_start, window_end, COUNT(*) AS num
    FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND)
    GROUP BY auction, window_start, window_end
) counted JOIN (
    SELECT window_start, window_end, MAX(num) AS most
    FROM (
        SELECT auction, window_start, window_end, COUNT(*) AS num
        FROM HOP(bid, date_time, INTERVAL '2' SECOND, INTERVAL '10' SECOND)
        GROUP BY auction, window_start, window_end
    )
    GROUP BY window_start, window_end
) best ON counted.window_start = best.window_start AND counted.window_end = best.window_end
WHERE counted.num >= best.most;
