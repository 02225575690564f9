//! The windowed aggregations of a plan: `window` says the windows, what follows the aggregate.

use millpond_streams::dsl::{
    CogroupedKStream, EmitStrategy, KGroupedStream, SessionWindows, SlidingWindows, TimeWindows,
    UnlimitedWindows,
};

use super::words::{Add, Text, merge};
use super::{Made, ms};

/// Grouped streams, one or several, in windows.
pub(super) struct Windows {
    of: Of,
    kind: Vec<String>,
    on_close: bool,
}

enum Of {
    One(KGroupedStream<Text, Text>),
    Together(CogroupedKStream<Text, String>),
}

/// Runs `$then` with `$windows` bound to the windowed stream of whatever kind; `$sessions` runs for sessions.
macro_rules! by_kind {
    ($self:ident, $grouped:expr, $windows:ident => $then:expr, $sessions:expr) => {
        match $self.kind[0].as_str() {
            "session" => {
                let $windows = $grouped.windowed_by($self.sessions()).emit_strategy($self.emit());
                Made::WindowTable {
                    table: $sessions,
                    sessions: true,
                }
            }
            "sliding" => {
                let $windows = $grouped.windowed_by($self.sliding()).emit_strategy($self.emit());
                Made::WindowTable {
                    table: $then,
                    sessions: false,
                }
            }
            "unlimited" => {
                let windows = UnlimitedWindows::of().start_on(ms(&$self.kind[1]));
                let $windows = $grouped.windowed_by(windows).emit_strategy($self.emit());
                Made::WindowTable {
                    table: $then,
                    sessions: false,
                }
            }
            _ => {
                let $windows = $grouped.windowed_by($self.time()).emit_strategy($self.emit());
                Made::WindowTable {
                    table: $then,
                    sessions: false,
                }
            }
        }
    };
}

fn zero() -> String {
    "0".to_owned()
}

fn merging(_: &Text, left: String, right: String) -> String {
    merge(&left, &right)
}

impl Windows {
    pub(super) fn new(from: &Made, kind: &str, on_close: bool) -> Windows {
        Windows {
            of: match from {
                Made::Grouped(grouped) => Of::One(grouped.clone()),
                Made::Together(together) => Of::Together(together.clone()),
                _ => panic!("{kind} windows of nothing grouped"),
            },
            kind: kind.split(':').map(str::to_owned).collect(),
            on_close,
        }
    }

    fn emit(&self) -> EmitStrategy {
        if self.on_close {
            EmitStrategy::on_window_close()
        } else {
            EmitStrategy::on_window_update()
        }
    }

    fn sessions(&self) -> SessionWindows {
        SessionWindows::with_inactivity_gap(ms(&self.kind[1])).grace(ms(&self.kind[2]))
    }

    fn sliding(&self) -> SlidingWindows {
        SlidingWindows::of_time_difference(ms(&self.kind[1])).grace(ms(&self.kind[2]))
    }

    fn time(&self) -> TimeWindows {
        let windows = TimeWindows::of(ms(&self.kind[1]));
        if self.kind[0] == "hopping" {
            windows.advance_by(ms(&self.kind[2])).grace(ms(&self.kind[3]))
        } else {
            windows.grace(ms(&self.kind[2]))
        }
    }

    fn one(&self) -> &KGroupedStream<Text, Text> {
        match &self.of {
            Of::One(grouped) => grouped,
            Of::Together(_) => panic!("cogrouped streams are only aggregated"),
        }
    }

    pub(super) fn count(&self, store: &str) -> Made {
        let text = |count: u64| format!("c{count}");
        by_kind!(self, self.one(), windows => windows.count(store).map_values(text), windows.count(store).map_values(text))
    }

    pub(super) fn reduce(&self, store: &str, add: &Add) -> Made {
        let add = add.clone();
        let reduce = move |so_far: Text, value: &Text| add(so_far.as_deref(), value.as_deref());
        let text = |value: Text| value.unwrap_or_default();
        by_kind!(self, self.one(), windows => windows.reduce(store, reduce).map_values(text), windows.reduce(store, reduce).map_values(text))
    }

    pub(super) fn aggregate(&self, store: &str, add: Option<&Add>) -> Made {
        match &self.of {
            Of::Together(together) => by_kind!(
                self,
                together,
                windows => windows.aggregate(store, zero),
                windows.aggregate(store, zero, merging)
            ),
            Of::One(grouped) => {
                let add = add.expect("an aggregator").clone();
                let add = move |_: &Text, value: &Text, so_far: String| add(Some(&so_far), value.as_deref());
                by_kind!(
                    self,
                    grouped,
                    windows => windows.aggregate(store, zero, add),
                    windows.aggregate(store, zero, add, merging)
                )
            }
        }
    }
}
