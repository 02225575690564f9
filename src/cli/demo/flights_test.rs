//! Rows in, records out; what is wrong is named.

use super::*;

const HEADER: &str =
    "year,month,day,dep_delay,carrier,flight,tailnum,origin,dest,distance,minute,time_hour\n";

fn parsed(rows: &str) -> anyhow::Result<FlightsFile> {
    FlightsFile::parse("test.csv".to_owned(), format!("{HEADER}{rows}").as_bytes())
}

#[test]
fn january_has_its_27_004_flights_and_scheduled_times_lag_less_than_a_day() {
    let file = FlightsFile::open(None).expect("the built-in file is sound");
    assert_eq!(file.records.len(), 27_004);
    let mut newest = i64::MIN;
    let mut lag_max = 0;
    for record in &file.records {
        newest = newest.max(record.timestamp);
        lag_max = lag_max.max(newest - record.timestamp);
    }
    assert!(
        (1..24 * 60 * MILLIS_PER_MINUTE).contains(&lag_max),
        "lag {lag_max} ms"
    );
}

#[test]
fn scheduled_time_is_hour_plus_minute_and_a_cancelled_flight_has_no_delay() {
    let file = parsed("2013,1,1,,UA,1545,NA,EWR,IAH,1400,15,2013-01-01T10:00:00Z\n").expect("one sound row");
    let record = &file.records[0];
    assert_eq!(record.timestamp, 1_357_035_300_000);
    assert_eq!(record.key, "UA");
    assert_eq!(
        serde_json::to_string(&record.flight).expect("plain data"),
        r#"{"carrier":"UA","flight":1545,"origin":"EWR","dest":"IAH","dep_delay":null,"distance":1400.0,"scheduled":"2013-01-01T10:15:00Z"}"#
    );
}

#[test]
fn days_are_put_in_order_and_rows_of_a_day_stay_in_theirs() {
    let file = parsed(
        "2013,10,1,1,UA,1,N1,EWR,IAH,1,0,2013-10-01T10:00:00Z\n\
         2013,2,1,1,UA,2,N1,EWR,IAH,1,0,2013-02-01T12:00:00Z\n\
         2013,2,1,1,UA,3,N1,EWR,IAH,1,0,2013-02-01T11:00:00Z\n",
    )
    .expect("three sound rows");
    let flights: Vec<u32> = file.records.iter().map(|record| record.flight.flight).collect();
    assert_eq!(flights, [2, 3, 1]);
}

#[test]
fn a_bad_row_is_named_by_its_line() {
    let error = parsed(
        "2013,1,1,1,UA,1,N1,EWR,IAH,1,0,2013-01-01T10:00:00Z\n2013,1,1,1,UA,1,N1,EWR,IAH,1,75,2013-01-01T10:00:00Z\n",
    )
    .expect_err("minute 75");
    assert!(
        format!("{error:#}").starts_with("test.csv, line 3: no full hour in UTC"),
        "{error:#}"
    );
}

#[test]
fn hours_of_leap_years_and_before_the_epoch_are_right() {
    assert_eq!(hour_to_millis("1970-01-01T00"), Some(0));
    assert_eq!(hour_to_millis("2024-02-29T12"), Some(1_709_208_000_000));
    assert_eq!(hour_to_millis("1969-12-31T23"), Some(-3_600_000));
    assert_eq!(hour_to_millis("2013-13-01T00"), None);
    assert_eq!(hour_to_millis("2013-01-01"), None);
}
