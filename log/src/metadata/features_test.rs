//! Feature levels: which way they go, and what refuses.

use super::*;
use crate::types::Offset;

fn founded() -> MetadataImage {
    let records: Vec<_> = founding_records().collect();
    let (image, _) = MetadataImage::default().apply(&records, Offset::new(1)).unwrap();
    image
}

#[test]
fn a_new_cluster_has_the_features_of_kafka_4_3_and_lists_only_those_above_zero() {
    let image = founded();
    let finalized: Vec<_> = image.features().collect();
    assert_eq!(
        finalized,
        [
            ("group.version", 1),
            ("kraft.version", 1),
            ("metadata.version", 30),
            ("transaction.version", 2)
        ]
    );
    let off = update_record(&image, GROUP_VERSION, 0, FeatureUpgrade::SafeDowngrade)
        .unwrap()
        .unwrap();
    let (image, _) = image.apply(&[off], Offset::new(2)).unwrap();
    assert_eq!(image.features().next(), Some(("kraft.version", 1)), "0 is off");
}

#[test]
fn what_metadata_is_written_at_never_goes_down() {
    let image = founded();
    for (name, level) in [(METADATA_VERSION, 29), (KRAFT_VERSION, 0)] {
        let refused = update_record(&image, name, level, FeatureUpgrade::UnsafeDowngrade).unwrap_err();
        assert!(refused.contains("would lose metadata"), "{refused}");
    }
}

#[test]
fn a_level_goes_down_only_when_asked_to_and_up_only_as_an_upgrade() {
    let image = founded();
    let update = |level, upgrade| update_record(&image, TRANSACTION_VERSION, level, upgrade);
    let refused = update(1, FeatureUpgrade::Upgrade).unwrap_err();
    assert_eq!(
        refused,
        "invalid update version 1 for feature transaction.version: set the upgrade type to safe or unsafe downgrade to go down"
    );
    let down = update(1, FeatureUpgrade::SafeDowngrade).unwrap().unwrap();
    let (lower, _) = image.apply(&[down], Offset::new(2)).unwrap();
    assert_eq!(lower.feature_level(TRANSACTION_VERSION), 1);
    let up = |upgrade| update_record(&lower, TRANSACTION_VERSION, 2, upgrade);
    assert!(
        up(FeatureUpgrade::UnsafeDowngrade)
            .unwrap_err()
            .contains("upgrade")
    );
    assert!(up(FeatureUpgrade::Upgrade).unwrap().is_some());
    assert_eq!(update(2, FeatureUpgrade::Upgrade), Ok(None), "already there");
}

#[test]
fn unknown_features_and_levels_outside_the_range_are_refused_with_what_would_do() {
    let image = founded();
    let unknown = update_record(&image, "share.version", 1, FeatureUpgrade::Upgrade).unwrap_err();
    assert!(
        unknown.contains("it supports group.version, kraft.version"),
        "{unknown}"
    );
    let outside = update_record(&image, GROUP_VERSION, 2, FeatureUpgrade::Upgrade).unwrap_err();
    assert!(
        outside.ends_with("this node supports only versions 0 to 1"),
        "{outside}"
    );
    assert_eq!(FeatureUpgrade::from_wire(0), None);
}
