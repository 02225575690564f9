//! A materialised view in SQL, kept up to date while rows arrive: `cargo run --example sql_view`

use millpond::log::broker::{Broker, BrokerOptions};
use millpond::sql::{SqlEngine, SqlOptions, StatementResult};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = Broker::start(BrokerOptions::at(dir.path().join("log"))).await?;
    let sql = SqlEngine::open(SqlOptions::new(&broker, dir.path().join("state"))).await?;

    sql.execute(
        "CREATE STREAM departures (origin VARCHAR, delay DOUBLE, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '1' HOUR)
           WITH (topic = 'departures', format = 'json', partitions = 2);
         CREATE MATERIALIZED VIEW hourly AS
           SELECT origin, window_start, COUNT(*) AS departures, AVG(delay) AS avg_delay
           FROM TUMBLE(departures, at, INTERVAL '1' HOUR) GROUP BY origin, window_start, window_end;
         INSERT INTO departures VALUES
           ('JFK', 2, '2013-01-01 10:15:00'), ('JFK', NULL, '2013-01-01 10:40:00'), ('EWR', -3, '2013-01-01 11:05:00');",
    )
    .await?;
    show(&sql).await?;

    // The view follows its stream; a restart would resume it where its last transaction ended.
    sql.execute("INSERT INTO departures VALUES ('JFK', 8, '2013-01-01 10:59:59')")
        .await?;
    show(&sql).await?;

    sql.shutdown().await?;
    broker.shutdown().await?;
    Ok(())
}

async fn show(sql: &SqlEngine) -> anyhow::Result<()> {
    sql.wait_until_caught_up().await?;
    for result in sql
        .execute("SELECT * FROM hourly ORDER BY origin, window_start")
        .await?
    {
        if let StatementResult::Rows { batches, .. } = result {
            println!(
                "{}",
                datafusion::arrow::util::pretty::pretty_format_batches(&batches)?
            );
        }
    }
    Ok(())
}
