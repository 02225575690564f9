//! What readers may see: durable, stable, and never out of order.

use super::settings::Durability;
use super::watermarks::Watermarks;
use crate::types::Offset;

fn marks(durability: Durability) -> Watermarks {
    Watermarks::recovered(Offset::ZERO, Offset::ZERO, [], durability)
}

#[test]
fn only_durable_offsets_count_toward_the_high_watermark() {
    let mut m = marks(Durability::Fsync);
    m.on_written(Offset::new(10));
    assert_eq!(m.offsets().high_watermark, Offset::ZERO);
    m.on_durable(Offset::new(6));
    assert_eq!(m.offsets().high_watermark, Offset::new(6));
    assert_eq!(m.offsets().log_end_offset, Offset::new(10));
}

#[test]
fn page_cache_topics_publish_what_is_written() {
    let mut m = marks(Durability::PageCache);
    m.on_written(Offset::new(10));
    assert_eq!(m.offsets().high_watermark, Offset::new(10));
}

#[test]
fn a_closed_transaction_holds_readers_back_until_its_marker_is_durable() {
    let mut m = marks(Durability::Fsync);
    m.on_txn_opened(Offset::new(2));
    m.on_written(Offset::new(5));
    m.on_durable(Offset::new(5));
    assert_eq!(m.offsets().last_stable_offset, Offset::new(2));
    m.on_txn_closed(Offset::new(2), Offset::new(5));
    m.on_written(Offset::new(6));
    assert_eq!(
        m.offsets().last_stable_offset,
        Offset::new(2),
        "the marker could still be lost"
    );
    m.on_durable(Offset::new(6));
    assert_eq!(m.offsets().last_stable_offset, Offset::new(6));
}

#[test]
fn the_planted_off_by_one_shows() {
    let mut m = marks(Durability::Fsync);
    m.plant_off_by_one(true);
    m.on_txn_opened(Offset::new(2));
    m.on_written(Offset::new(5));
    m.on_durable(Offset::new(5));
    assert_eq!(m.offsets().last_stable_offset, Offset::new(3));
}

#[test]
fn deleting_records_under_an_open_transaction_keeps_the_order_of_the_ends() {
    let mut m = marks(Durability::Fsync);
    m.on_txn_opened(Offset::new(2));
    m.on_written(Offset::new(5));
    m.on_durable(Offset::new(5));
    m.on_log_start(Offset::new(4));
    let o = m.offsets();
    assert!(
        o.log_start_offset <= o.last_stable_offset && o.last_stable_offset <= o.high_watermark,
        "{o:?}"
    );
}
