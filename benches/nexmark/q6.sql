-- Average of the last ten sold prices of each seller, over winners that change.
CREATE MATERIALIZED VIEW q6 AS
SELECT seller, id, AVG(final) OVER (PARTITION BY seller ORDER BY sold, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average
FROM (
    SELECT id, seller, final, sold
    FROM (
        SELECT a.id, a.seller, b.price AS final, b.date_time AS sold,
            ROW_NUMBER() OVER (PARTITION BY a.id, a.seller ORDER BY b.price DESC, b.date_time, b.bidder) AS place
        FROM auction a JOIN bid b ON a.id = b.auction
        WHERE b.date_time BETWEEN a.date_time AND a.expires
    )
    WHERE place = 1
);
