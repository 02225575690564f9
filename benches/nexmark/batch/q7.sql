-- q7 without window functions.
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b JOIN (
    SELECT window_start, window_end, MAX(price) AS highest
    FROM (SELECT date_bin(INTERVAL '10' SECOND, date_time) AS window_start, date_bin(INTERVAL '10' SECOND, date_time) + INTERVAL '10' SECOND AS window_end, price FROM bid)
    GROUP BY window_start, window_end
) best ON b.price = best.highest
WHERE b.date_time >= best.window_start AND b.date_time < best.window_end;
