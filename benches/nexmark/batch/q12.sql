-- q12 without window functions.
SELECT bidder, COUNT(*) AS bids, window_start, window_end
FROM (SELECT date_bin(INTERVAL '10' SECOND, date_time) AS window_start, date_bin(INTERVAL '10' SECOND, date_time) + INTERVAL '10' SECOND AS window_end, bidder FROM bid)
GROUP BY bidder, window_start, window_end;
