//! What goes wrong, or seems to, between declaring a store and using it.

use std::time::Duration;

use crate::dsl::{
    FixedKeyContext, FixedKeyInit, FixedKeyProcessor, FixedKeyRecord, KeyValueStore, ListStore, SessionStore,
    Stores, StreamsBuilder, Window, WindowStore, Windowed,
};
use crate::processor::BoxError;
use crate::testing::TopologyTestDriver;

/// Uses the handle its record names, without having looked any of them up.
#[derive(Default)]
struct Forgetful {
    entries: KeyValueStore<String, u64>,
    windows: WindowStore<String, u64>,
    sessions: SessionStore<String, u64>,
    lists: ListStore<String, u64>,
}

impl FixedKeyProcessor for Forgetful {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        context: &mut FixedKeyContext<'_, Self>,
    ) -> Result<(), BoxError> {
        let key = record.key();
        match record.value().as_str() {
            "entries" => self.entries.put(context, key, &1)?,
            "windows" => {
                return self
                    .windows
                    .put(context, key, &1, 0)
                    .map(|_| ())
                    .map_err(Into::into);
            }
            "sessions" => {
                let window = Window {
                    start_ms: 0,
                    end_ms: 1,
                };
                let session = Windowed {
                    key: key.clone(),
                    window,
                };
                return self
                    .sessions
                    .put(context, &session, &1)
                    .map(|_| ())
                    .map_err(Into::into);
            }
            _ => self.lists.push(context, key, &1)?,
        }
        context.forward(record);
        Ok(())
    }
}

#[test]
fn a_handle_that_was_not_looked_up_says_so() {
    let builder = StreamsBuilder::new();
    let input = builder.stream::<String, String>("in");
    input.process_values(Forgetful::default, &[]).to("out");
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::new(&topology).expect("it runs");
    let (input, output) = (
        driver.input::<String, String>("in"),
        driver.output::<String, String>("out"),
    );
    for store in ["entries", "windows", "sessions", "lists"] {
        driver
            .pipe(&input, "k".to_owned(), store.to_owned(), 5)
            .expect("a dead letter");
    }
    assert!(driver.read(&output).expect("readable").is_empty());
    let letters = driver.dead_letters();
    assert_eq!(letters.len(), 4);
    for letter in letters {
        let message = letter.headers.get("__streams.errors.message").expect("a reason");
        let message = String::from_utf8_lossy(message);
        assert!(
            message.contains("a store was used that was not looked up"),
            "{message}"
        );
    }
}

/// Lets every key through once in a while.
#[derive(Default)]
struct Once {
    seen: KeyValueStore<String, ()>,
}

impl FixedKeyProcessor for Once {
    type Key = String;
    type ValueIn = u8;
    type ValueOut = u8;

    fn init(&mut self, context: &mut FixedKeyInit<'_, Self>) -> Result<(), BoxError> {
        self.seen = context.store("seen")?;
        Ok(())
    }

    fn process(
        &mut self,
        record: FixedKeyRecord<String, u8>,
        context: &mut FixedKeyContext<'_, Self>,
    ) -> Result<(), BoxError> {
        if self.seen.put_if_absent(context, record.key(), &())?.is_none() {
            context.forward(record);
        }
        Ok(())
    }
}

#[test]
fn a_store_of_nothing_but_keys_is_a_set() {
    let builder = StreamsBuilder::new();
    let seen = Stores::key_value::<String, ()>("seen").with_ttl(Duration::from_millis(100));
    builder.add_state_store(seen);
    let input = builder.stream::<String, u8>("in");
    input.process_values(Once::default, &["seen"]).to("out");
    let topology = builder.build().expect("a sound topology");
    let mut driver = TopologyTestDriver::new(&topology).expect("it runs");
    let (input, output) = (
        driver.input::<String, u8>("in"),
        driver.output::<String, u8>("out"),
    );
    for (number, time) in [(1, 0), (2, 99), (3, 100), (4, 101)] {
        driver
            .pipe(&input, "k".to_owned(), number, time)
            .expect("goes through");
    }
    assert_eq!(driver.read_values(&output).expect("readable"), [1, 3]);
    let found = driver.value::<String, ()>("seen", &"k".to_owned());
    assert_eq!(found.expect("readable"), Some(()));
}
