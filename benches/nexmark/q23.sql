-- Join of three streams.
CREATE MATERIALIZED VIEW q23 AS
SELECT b.auction, b.bidder, b.price, a.item_name, p.name AS seller_name
FROM bid b JOIN auction a ON b.auction = a.id JOIN person p ON a.seller = p.id;
