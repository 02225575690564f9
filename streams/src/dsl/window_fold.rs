//! How an aggregation into each kind of windows by time is added to a topology.

use std::sync::Arc;

use super::aggregate_plan::AggregatePlan;
use super::operators::aggregate::{EndlessPane, Panes};
use super::operators::spans::sliding::SlidingRule;
use super::{KTable, SlidingWindows, TimeWindows, UnlimitedWindows, Windowed, WindowedSerde};
use crate::processor::BoxError;
use crate::serde::Data;

/// Windows whose aggregations need no merging: tumbling and hopping, sliding, unlimited.
pub trait FoldWindows: Copy + Send + Sync + 'static {
    /// Records with a null value are skipped.
    #[doc(hidden)]
    const SKIPS_NULL_VALUES: bool = false;

    /// Adds an aggregation into these windows.
    #[doc(hidden)]
    fn fold<K: Data, V: Data, A: Data>(
        self,
        plan: AggregatePlan<'_, K, V, A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>;
}

impl FoldWindows for TimeWindows {
    fn fold<K: Data, V: Data, A: Data>(
        self,
        plan: AggregatePlan<'_, K, V, A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        if let Some(mistake) = self.mistake() {
            plan.report(mistake);
        }
        let shortest = self.size_ms().saturating_add(self.grace_ms());
        let retention_ms = plan.retention_ms(shortest, "window size plus grace");
        let retention_ms = retention_ms.saturating_add(plan.kept_longer_ms());
        let panes = Panes {
            windows: self,
            retention_ms,
        };
        let window = Some((self.size_ms(), retention_ms));
        plan.add_panes(panes, window, Self::SKIPS_NULL_VALUES, update)
    }
}

impl FoldWindows for UnlimitedWindows {
    fn fold<K: Data, V: Data, A: Data>(
        self,
        plan: AggregatePlan<'_, K, V, A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        if plan.emit.is_on_close() {
            plan.report("unlimited windows never close, so nothing would be emitted on close".to_owned());
        }
        let window = Some((i64::MAX, i64::MAX));
        plan.add_panes(
            EndlessPane { windows: self },
            window,
            Self::SKIPS_NULL_VALUES,
            update,
        )
    }
}

impl FoldWindows for SlidingWindows {
    const SKIPS_NULL_VALUES: bool = true;

    fn fold<K: Data, V: Data, A: Data>(
        self,
        plan: AggregatePlan<'_, K, V, A>,
        update: impl Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let shortest = self.shortest_retention_ms();
        let retention_ms = plan.retention_ms(shortest, "twice the time difference plus grace");
        let out_key = WindowedSerde::new(plan.key.clone(), self.time_difference_ms());
        let rule = SlidingRule {
            windows: self,
            retention_ms,
            update,
        };
        plan.add_spans(rule, Arc::new(out_key))
    }
}
