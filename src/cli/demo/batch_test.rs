//! The batch queries on rows small enough to count by hand.

use super::*;

const HEADER: &str =
    "year,month,day,dep_delay,carrier,flight,tailnum,origin,dest,distance,minute,time_hour\n";

async fn answers(rows: &str) -> BatchAnswers {
    let file =
        FlightsFile::parse("test.csv".to_owned(), format!("{HEADER}{rows}").as_bytes()).expect("sound rows");
    BatchAnswers::over(&file)
        .await
        .expect("DataFusion reads the rows")
}

fn expected(rows: &[(String, String)]) -> Answer {
    let mut answer = Answer::default();
    for (key, value) in rows {
        answer.insert(key.clone(), value.clone());
    }
    answer
}

/// 2013-01-01T10:00:00Z.
const TEN: i64 = 1_357_034_400_000;
const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn counts_cancelled_flights_but_leaves_them_out_of_the_mean() {
    let batch = answers(
        "2013,1,1,2,UA,1,N1,EWR,IAH,1400,15,2013-01-01T10:00:00Z\n\
         2013,1,1,,UA,2,N1,EWR,IAH,1400,59,2013-01-01T10:00:00Z\n\
         2013,1,1,5,UA,3,N1,EWR,IAH,1400,0,2013-01-01T11:00:00Z\n",
    )
    .await;
    let hourly = batch.hourly_departures().await.expect("the query runs");
    assert_eq!(
        hourly,
        expected(&[
            (hour_key("EWR", TEN), delay_value(2, Some(2.0))),
            (hour_key("EWR", TEN + HOUR), delay_value(1, Some(5.0))),
        ])
    );
    let carriers = batch.carriers().await.expect("the query runs");
    assert_eq!(
        carriers,
        expected(&[("UA".to_owned(), delay_value(3, Some(3.5)))])
    );
}

#[tokio::test]
async fn a_flight_is_in_the_four_hopping_windows_that_cover_it() {
    let batch = answers("2013,1,1,120,UA,1,N1,EWR,IAH,1400,15,2013-01-01T10:00:00Z\n").await;
    let six = TEN - 4 * HOUR;
    let windows: Vec<_> = (0..4)
        .map(|hop| (hour_key("EWR-IAH", six - hop * 6 * HOUR), "1".to_owned()))
        .collect();
    assert_eq!(
        batch.busiest_routes().await.expect("the query runs"),
        expected(&windows)
    );
    let late = [(hour_key("UA1 EWR-IAH", TEN + 15 * 60_000), "1".to_owned())];
    assert_eq!(batch.very_late().await.expect("the query runs"), expected(&late));
}
