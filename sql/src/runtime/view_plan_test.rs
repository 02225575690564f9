//! Tests of joining a definition with its plan.

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::catalog::SqlType;
use crate::planner::{CatalogTable, Planner, Tables};

fn plan(query: &str) -> Arc<StreamPlan> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", SqlType::Varchar.to_arrow(), true),
        Field::new("n", SqlType::Int.to_arrow(), true),
        Field::new("at", SqlType::Timestamp.to_arrow(), true),
    ]));
    let topic = TopicTable {
        name: "s".into(),
        topic: "s".into(),
        schema: schema.clone(),
        format: Format::Json,
        csv_delimiter: ',',
        watermark: None,
        partitions: 1,
        upserts: None,
    };
    let mut tables = Tables::default();
    tables.add(CatalogTable {
        name: "s".into(),
        topic,
        schema,
        rows: None,
    });
    let query = crate::parser::parse_query(query).unwrap();
    Arc::new(Planner::new().stream_plan(&query, &tables).unwrap())
}

fn definition(layout: Option<StateLayout>) -> Arc<MaterializedViewDefinition> {
    Arc::new(MaterializedViewDefinition {
        name: "v".into(),
        query: String::new(),
        emit: Emit::Changes,
        topic: "v".into(),
        partitions: 1,
        generation: 0,
        idle_timeout_ms: None,
        layout,
        stores: Vec::new(),
        shuffles: Vec::new(),
        sequence: 0,
        sql: String::new(),
    })
}

#[test]
fn a_view_whose_groups_lie_otherwise_than_planned_is_refused_with_both_layouts() {
    let by_name = plan("SELECT k, COUNT(*) AS c, MAX(at) AS newest, AVG(n) AS mean FROM s GROUP BY k");
    let layout = ViewPlan::layout(&by_name).unwrap();
    let shown = layout.as_ref().unwrap().to_string();
    assert_eq!(
        shown,
        "no window; keys [utf8]; aggregates [count(int64), max(timestamp_us), avg(float64 int64)]"
    );
    ViewPlan::new(definition(layout.clone()), by_name).unwrap();

    let by_number = plan("SELECT n, COUNT(*) AS c FROM s GROUP BY n");
    let error = ViewPlan::new(definition(layout), by_number).unwrap_err();
    for piece in [
        "view \"v\"",
        &shown,
        "no window; keys [int32]; aggregates [count(int64)]",
    ] {
        assert!(error.message.contains(piece), "{piece}: {}", error.message);
    }
    assert!(error.hint.unwrap().contains("DROP MATERIALIZED VIEW v"));
}

#[test]
fn a_view_recorded_without_groups_does_not_start_with_some() {
    let error = ViewPlan::new(
        definition(None),
        plan("SELECT k, COUNT(*) AS c FROM s GROUP BY k"),
    )
    .unwrap_err();
    assert!(error.message.contains("(no groups)"), "{}", error.message);
    ViewPlan::new(definition(None), plan("SELECT k, n FROM s")).unwrap();
}

#[test]
fn what_does_not_change_stored_bytes_does_not_change_the_layout() {
    let layout = |query: &str| ViewPlan::layout(&plan(query)).unwrap();
    let plain = layout("SELECT k, SUM(n) AS total FROM s GROUP BY k");
    let same = layout(
        "SELECT upper(k) AS u, SUM(n + 1) AS other FROM s WHERE n > 3 GROUP BY upper(k) HAVING SUM(n + 1) > 2",
    );
    assert_eq!(plain, same);
    assert_ne!(
        layout("SELECT k, MAX(n) AS m FROM s GROUP BY k"),
        layout("SELECT k, MAX(at) AS m FROM s GROUP BY k")
    );
}

#[test]
fn types_are_named_in_words_of_ours() {
    use crate::catalog::layout_type;
    let list = DataType::new_list(
        DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Nanosecond, None),
        true,
    );
    assert_eq!(layout_type(&list).unwrap(), "list of timestamp_ns");
    let error = layout_type(&DataType::Struct(datafusion::arrow::datatypes::Fields::empty())).unwrap_err();
    assert!(
        error.message.contains("groups cannot be kept"),
        "{}",
        error.message
    );
}
