-- Statistics of each auction and day.
CREATE MATERIALIZED VIEW q17 AS
SELECT auction, to_char(date_time, '%Y-%m-%d') AS day,
    COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS bids_low,
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
    COUNT(*) FILTER (WHERE price >= 1000000) AS bids_high,
    MIN(price) AS lowest, MAX(price) AS highest, AVG(price) AS average, SUM(price) AS total
FROM bid
GROUP BY auction, to_char(date_time, '%Y-%m-%d');
