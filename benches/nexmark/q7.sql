-- Highest bid of each window, joined back by price and time.
CREATE MATERIALIZED VIEW q7 AS
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (
    SELECT window_start, window_end, MAX(price) AS highest
    FROM TUMBLE(bid, date_time, INTERVAL '10' SECOND)
    GROUP BY window_start, window_end
) best ON b.price = best.highest
WHERE b.date_time >= best.window_start AND b.date_time < best.window_end;
