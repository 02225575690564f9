-- Winning bid of each auction.
CREATE MATERIALIZED VIEW q9 AS
SELECT id, item_name, initial_bid, seller, category, bidder, price, sold
FROM (
    SELECT a.id, a.item_name, a.initial_bid, a.seller, a.category, b.bidder, b.price, b.date_time AS sold,
        ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder) AS place
    FROM auction a JOIN bid b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
)
WHERE place <= 1;
