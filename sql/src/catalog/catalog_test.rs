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
