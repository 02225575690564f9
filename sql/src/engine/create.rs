//! `CREATE STREAM`, `CREATE VIEW`, `CREATE MATERIALIZED VIEW`.

use std::sync::Arc;

use super::state::State;
use super::view::View;
use super::{Inner, drop, tables};
use crate::catalog::{
    CATALOG_TOPIC, CatalogRecord, CatalogTopic, Emit, Format, MaterializedViewDefinition, StreamDefinition,
    ViewDefinition,
};
use crate::error::{Result, SqlError, SqlErrorKind};
use crate::parser::{CreateMaterializedView, CreateStream, CreateView, Statement, WithOptions};
use crate::result::StatementResult;
use crate::runtime::{ViewJob, ViewPlan, ensure_topic, topic_partitions};
use crate::suggest;

/// Whether `name` can be given; a message if it is taken and that is fine.
async fn taken(
    inner: &Inner,
    log: &CatalogTopic,
    statement: &Statement,
    name: &str,
    if_not_exists: bool,
) -> Result<Option<StatementResult>> {
    check_name(statement, name)?;
    let state = inner.state.get();
    let Some(entry) = state.catalog.get(name) else {
        // The record of a new definition would replace the one that says what is still to be removed.
        drop::finish(inner, log, name).await?;
        return Ok(None);
    };
    if if_not_exists {
        return Ok(Some(StatementResult::Message(format!(
            "{} {name} exists already",
            entry.kind()
        ))));
    }
    let drop = entry.kind().to_uppercase();
    let error = SqlError::name(format!("{} \"{name}\" exists already", entry.kind()))
        .with_hint(format!("DROP {drop} {name} first, or write IF NOT EXISTS"));
    Err(statement.locate(error, name))
}

/// Names become parts of topic names, so that two names never make the same topic they are kept plain.
fn check_name(statement: &Statement, name: &str) -> Result<()> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && !name.is_empty() && name.len() <= 100 {
        return Ok(());
    }
    let error = SqlError::name(format!("\"{name}\" cannot be a name"))
        .with_hint("use at most 100 letters, digits and underscores");
    Err(statement.locate(error, name))
}

pub(super) async fn stream(
    inner: &Inner,
    statement: &Statement,
    create: &CreateStream,
) -> Result<StatementResult> {
    let log = inner.topic.lock().await;
    if let Some(message) = taken(inner, &log, statement, &create.name, create.if_not_exists).await? {
        return Ok(message);
    }
    let state = inner.state.get();
    let options = &create.options;
    options.check_known(&["topic", "format", "partitions", "csv.delimiter"])?;
    let format = match options.text("format").map(str::to_lowercase).as_deref() {
        Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some(other) => {
            return Err(options
                .wrong("format", format!("unknown format `{other}`"))
                .with_hint(suggest::hint(other, ["json", "csv"], "formats")));
        }
        None => {
            let error = SqlError::invalid(format!("stream \"{}\" needs a format", create.name))
                .with_hint("add WITH (format = 'json') or 'csv'");
            return Err(statement.locate(error, &create.name));
        }
    };
    let csv_delimiter = match options.text("csv.delimiter") {
        None => None,
        Some(text) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next(), format) {
                (Some(delimiter), None, Format::Csv) if delimiter.is_ascii() => Some(delimiter),
                (_, _, Format::Json) => {
                    return Err(options.wrong("csv.delimiter", "csv.delimiter needs format = 'csv'".into()));
                }
                _ => {
                    let message = format!("csv.delimiter must be one ASCII character, not `{text}`");
                    return Err(options.wrong("csv.delimiter", message));
                }
            }
        }
    };
    let topic = options.text("topic").unwrap_or(&create.name).to_owned();
    if topic == CATALOG_TOPIC {
        return Err(options.wrong("topic", format!("topic \"{topic}\" belongs to the engine")));
    }
    let asked = options.count("partitions")?;
    let partitions = match (topic_partitions(&inner.broker, &topic).await?, asked) {
        (Some(found), Some(asked)) if found != asked => {
            return Err(options
                .wrong(
                    "partitions",
                    format!("topic \"{topic}\" exists with {found} partitions, not {asked}"),
                )
                .with_hint("leave partitions out to take the topic as it is"));
        }
        (Some(found), _) => found,
        (None, Some(asked)) => {
            ensure_topic(&inner.broker, &topic, asked, false).await?;
            asked
        }
        (None, None) => {
            let error = SqlError::name(format!("topic \"{topic}\" does not exist"))
                .with_hint("add partitions = 4 to WITH (…) to make it");
            return Err(statement.locate(error, &topic));
        }
    };
    let definition = StreamDefinition {
        name: create.name.clone(),
        columns: create.columns.clone(),
        watermark: create.watermark.clone(),
        topic: topic.clone(),
        format,
        csv_delimiter,
        partitions,
        sequence: state.catalog.next_sequence(),
        sql: statement.text().to_owned(),
    };
    inner
        .define(&log, &create.name, Some(CatalogRecord::Stream(definition)))
        .await?;
    let name = &create.name;
    Ok(StatementResult::Message(format!(
        "created stream {name} over topic {topic} ({partitions} partitions)"
    )))
}

pub(super) async fn view(
    inner: &Inner,
    statement: &Statement,
    create: &CreateView,
) -> Result<StatementResult> {
    let log = inner.topic.lock().await;
    if let Some(message) = taken(inner, &log, statement, &create.name, create.if_not_exists).await? {
        return Ok(message);
    }
    let state = inner.state.get();
    if create.query.emit.is_some() {
        let error = SqlError::unsupported("EMIT belongs to CREATE MATERIALIZED VIEW: a view has no job")
            .with_hint("write CREATE MATERIALIZED VIEW, or leave EMIT out");
        return Err(statement.locate(error, "EMIT"));
    }
    inner.planner.logical_plan(
        &create.query,
        &tables::tables(&inner.broker, &inner.planner, &state),
    )?;
    let definition = ViewDefinition {
        name: create.name.clone(),
        query: create.query.text().to_owned(),
        sequence: state.catalog.next_sequence(),
        sql: statement.text().to_owned(),
    };
    inner
        .define(&log, &create.name, Some(CatalogRecord::View(definition)))
        .await?;
    Ok(StatementResult::Message(format!("created view {}", create.name)))
}

pub(super) async fn materialized_view(
    inner: &Inner,
    statement: &Statement,
    create: &CreateMaterializedView,
) -> Result<StatementResult> {
    let log = inner.topic.lock().await;
    if let Some(message) = taken(inner, &log, statement, &create.name, create.if_not_exists).await? {
        return Ok(message);
    }
    let state = inner.state.get();
    let view = plan_view(inner, &state, statement, create)?;
    let definition = Arc::clone(&view.definition);
    if topic_partitions(&inner.broker, &definition.topic)
        .await?
        .is_some()
    {
        let error = SqlError::name(format!("topic \"{}\" exists already", definition.topic))
            .with_hint("name another one for the view: WITH (topic = '…')");
        return Err(statement.locate(error, &definition.topic));
    }
    let record = CatalogRecord::MaterializedView((*definition).clone());
    inner.define(&log, &create.name, Some(record)).await?;
    inner.set_view(&create.name, View::starting(view.clone()));
    if let Err(error) = start(inner, &view).await {
        return Err(undo(inner, &log, view, error).await);
    }
    Ok(StatementResult::Message(format!(
        "created materialized view {}; its changes go to topic {}",
        create.name, definition.topic
    )))
}

/// Starts the job of a new view, and waits until it runs: what is wrong with it is the answer to the statement that made it.
async fn start(inner: &Inner, view: &ViewPlan) -> Result<()> {
    ViewJob::make_topic(&inner.jobs, view).await?;
    let job = Arc::new(ViewJob::start(&inner.jobs, view.clone()).await?);
    inner.set_view(&view.definition.name, View::Started(Arc::clone(&job)));
    let running = job.wait_until_running().await;
    running.map_err(|error| match job.failure() {
        Some(failure) => SqlError::new(SqlErrorKind::Runtime, failure.reason),
        None => error,
    })
}

/// Takes a view that could not be started out of the catalogue again, and says what happened.
async fn undo(inner: &Inner, log: &CatalogTopic, view: ViewPlan, error: SqlError) -> SqlError {
    let definition = Arc::clone(&view.definition);
    let name = &definition.name;
    let Err(left) = drop::remove_view(inner, log, &definition).await else {
        let message = format!("materialized view \"{name}\" is not created: {}", error.message);
        return match error.hint {
            // The general hint speaks of a view that is there.
            Some(hint) if error.kind != SqlErrorKind::Runtime => {
                SqlError::new(error.kind, message).with_hint(hint)
            }
            _ => SqlError::new(error.kind, message),
        };
    };
    let message = format!(
        "materialized view \"{name}\" cannot be started: {}",
        error.message
    );
    let hint = match inner.state.get().catalog.get(name) {
        None => format!(
            "what it made could not be removed ({}); DROP MATERIALIZED VIEW {name} tries again",
            left.message
        ),
        Some(_) => {
            let failure = error.retold().into();
            inner.set_view(
                name,
                View::Failed {
                    plan: Some(view),
                    failure,
                },
            );
            format!(
                "it is left as failed, because removing it failed too ({}); DROP MATERIALIZED VIEW {name} tries again",
                left.message
            )
        }
    };
    SqlError::new(error.kind, message).with_hint(hint)
}

/// Plans and checks a view without making anything.
pub(super) fn plan_view(
    inner: &Inner,
    state: &State,
    statement: &Statement,
    create: &CreateMaterializedView,
) -> Result<ViewPlan> {
    let options: &WithOptions = &create.options;
    options.check_known(&["topic", "format", "partitions", "idle.timeout.ms"])?;
    if let Some(other) = options.text("format").filter(|f| !f.eq_ignore_ascii_case("json")) {
        return Err(options
            .wrong("format", format!("views are written as json, not `{other}`"))
            .with_hint("leave format out"));
    }
    if create.query.limit_after_emit.is_some() {
        let error = SqlError::unsupported("LIMIT in a continuous query would depend on the order of arrival")
            .with_hint("put LIMIT into the query that reads the view");
        return Err(statement.locate(error, "LIMIT"));
    }
    let available = tables::tables(&inner.broker, &inner.planner, state);
    let plan = Arc::new(inner.planner.stream_plan(&create.query, &available)?);
    let emit = create.query.emit.unwrap_or(Emit::Changes);
    ViewPlan::check_emit(emit, &plan, &create.query)?;
    let asked = options.count("partitions")?;
    if let (Some(asked), true) = (
        asked,
        plan.keeps_nothing() && asked != Some(plan.source_partitions()),
    ) {
        let message = format!(
            "a view without GROUP BY keeps the {} partitions of its stream, it cannot have {asked}",
            plan.source_partitions()
        );
        return Err(options.wrong("partitions", message));
    }
    let definition = MaterializedViewDefinition {
        name: create.name.clone(),
        query: create.query.text().to_owned(),
        emit,
        topic: options.text("topic").unwrap_or(&create.name).to_owned(),
        partitions: asked.unwrap_or(plan.source_partitions()),
        generation: state.catalog.generation_of(&create.name),
        idle_timeout_ms: options.count("idle.timeout.ms")?,
        layout: ViewPlan::layout(&plan)?,
        stores: ViewPlan::stores(&plan)?,
        shuffles: plan.shuffles().map(str::to_owned).collect(),
        sequence: state.catalog.next_sequence(),
        sql: statement.text().to_owned(),
    };
    ViewPlan::new(Arc::new(definition), plan)
}
