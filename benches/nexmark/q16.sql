-- The same for each channel.
CREATE MATERIALIZED VIEW q16 AS
SELECT channel, to_char(date_time, '%Y-%m-%d') AS day, MAX(to_char(date_time, '%H:%M')) AS minute,
    COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS bids_low,
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
    COUNT(*) FILTER (WHERE price >= 1000000) AS bids_high,
    COUNT(DISTINCT bidder) AS bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS bidders_low,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS bidders_middle,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS bidders_high,
    COUNT(DISTINCT auction) AS auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS auctions_low,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS auctions_middle,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS auctions_high
FROM bid
GROUP BY channel, to_char(date_time, '%Y-%m-%d');
