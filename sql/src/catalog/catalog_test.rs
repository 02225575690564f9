//! Tests of the catalogue's model and records.

use super::*;

fn view(generation: u64) -> MaterializedViewDefinition {
    MaterializedViewDefinition {
        name: "v".into(),
        query: "SELECT 1".into(),
        emit: Emit::Final,
        topic: "v".into(),
        partitions: 2,
        generation,
        idle_timeout_ms: None,
        layout: None,
        stores: Vec::new(),
        shuffles: Vec::new(),
        sequence: 7,
        sql: String::new(),
    }
}

#[test]
fn a_view_made_again_gets_names_of_its_own() {
    let mut catalog = Catalog::default();
    catalog.apply("v", Some(CatalogRecord::MaterializedView(view(0))));
    assert_eq!((catalog.generation_of("v"), catalog.next_sequence()), (0, 8));
    catalog.apply("v", Some(CatalogRecord::Dropping(view(0))));
    assert!(catalog.get("v").is_none());
    assert_eq!(catalog.dropping().len(), 1);
    catalog.apply(
        "v",
        Some(CatalogRecord::Dropped {
            next_generation: 1,
            sequence: 7,
        }),
    );
    assert!(catalog.dropping().is_empty());
    assert_eq!(catalog.generation_of("v"), 1);
    assert_eq!(view(0).application_id(), "sql-v");
    assert_eq!(view(1).application_id(), "sql-v.1");
}

#[test]
fn records_are_the_json_they_were() {
    let text = r#"{"kind":"materialized_view","name":"v","query":"SELECT 1","emit":"final","topic":"v","partitions":2,"generation":1,"sequence":7,"sql":""}"#;
    let record = CatalogRecord::MaterializedView(view(1));
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
    assert_eq!(serde_json::from_str::<CatalogRecord>(text).unwrap(), record);
    let stream = r#"{"kind":"stream","name":"s","columns":[{"name":"a","type":"varchar"}],"topic":"t","format":"json","partitions":1,"sequence":0,"sql":""}"#;
    let CatalogRecord::Stream(stream) = serde_json::from_str(stream).unwrap() else {
        panic!()
    };
    assert_eq!(stream.columns[0].sql_type, SqlType::Varchar);
}

#[test]
fn the_layout_of_stored_groups_is_written_as_it_was() {
    let layout = StateLayout {
        window: Some(WindowLayout {
            size_micros: 3_600_000_000,
            slide_micros: 600_000_000,
        }),
        keys: vec!["utf8".into(), "timestamp_us".into()],
        aggregates: vec![AggregateLayout {
            function: "avg".into(),
            state: vec!["float64".into(), "int64".into()],
        }],
    };
    let text = r#"{"window":{"size_micros":3600000000,"slide_micros":600000000},"keys":["utf8","timestamp_us"],"aggregates":[{"function":"avg","state":["float64","int64"]}]}"#;
    assert_eq!(serde_json::to_string(&layout).unwrap(), text);
    assert_eq!(serde_json::from_str::<StateLayout>(text).unwrap(), layout);
    // Stores remember this text, and are refused under another.
    assert_eq!(
        layout.to_string(),
        "windows of 3600000000 us every 600000000 us; keys [utf8, timestamp_us]; aggregates [avg(float64 int64)]"
    );
}

#[test]
fn records_of_a_newer_version_are_read_without_what_is_unknown() {
    let text = r#"{"kind":"materialized_view","name":"v","query":"SELECT 1","emit":"final","topic":"v","partitions":2,"generation":1,"sequence":7,"sql":"","owner":"somebody"}"#;
    assert_eq!(
        serde_json::from_str::<CatalogRecord>(text).unwrap(),
        CatalogRecord::MaterializedView(view(1))
    );
}
