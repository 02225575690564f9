-- Bids of each bidder in a window; the event time stands for the processing time, so that the result can be computed again.
CREATE MATERIALIZED VIEW q12 AS
SELECT bidder, COUNT(*) AS bids, window_start, window_end
FROM TUMBLE(bid, date_time, INTERVAL '10' SECOND)
GROUP BY bidder, window_start, window_end;
