//! The error policy of single operators.

use super::{KStream, KTable};
use crate::config::ErrorPolicy;

impl<K, V> KStream<K, V> {
    /// What happens to records that the operator before this call cannot take: those a `try_` closure refuses, or, behind a source, those that cannot be decoded. Goes
    /// before the policies of the application.
    ///
    /// ```
    /// use millpond_streams::config::ErrorPolicy;
    /// use millpond_streams::dsl::StreamsBuilder;
    /// use millpond_streams::testing::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let texts = builder.stream::<String, String>("texts");
    /// texts.try_map_values(|text| text.parse::<i64>()).on_error(ErrorPolicy::Skip).to("numbers");
    /// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let texts = driver.input::<String, String>("texts");
    /// driver.pipe(&texts, "k".to_owned(), "twelve".to_owned(), 0)?;
    /// assert_eq!((driver.counters().skipped, driver.dead_letters().len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "streams are values: go on with the stream that is returned"]
    pub fn on_error(self, policy: ErrorPolicy) -> KStream<K, V> {
        self.graph.lock().topology.on_error(self.node, policy);
        self
    }
}

impl<K, V> KTable<K, V> {
    /// As [`KStream::on_error`]: what happens to records that the operator before this call cannot take.
    #[must_use = "tables are values: go on with the table that is returned"]
    pub fn on_error(self, policy: ErrorPolicy) -> KTable<K, V> {
        self.graph.lock().topology.on_error(self.node, policy);
        self
    }
}
