//! What AlterConfigs and IncrementalAlterConfigs share: all but how a change is said.
//!
//! Always true: every resource gets one answer, in order; one that cannot be understood does not keep the others from being altered.

use kafka_protocol::protocol::StrBytes;

use super::wire::{code_of, note};
use crate::broker::{AlterConfigs, BrokerError, ConfigChange, ConfigResource};
use crate::server::context::RequestContext;

/// A resource and what is asked of it.
pub(super) struct Asked {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    /// The changes, or why they cannot be understood.
    pub(super) changes: Result<Vec<ConfigChange>, BrokerError>,
}

/// How all resources of a request are altered.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// Settings not named go back to their defaults.
    pub(super) replace: bool,
    pub(super) validate_only: bool,
}

/// The answer for one resource.
pub(super) struct Answered {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    pub(super) error_code: i16,
    pub(super) error_message: Option<StrBytes>,
}

/// Carries out what can be understood.
pub(super) async fn alter(
    context: &RequestContext,
    asked: impl Iterator<Item = Asked>,
    manner: Manner,
) -> Vec<Answered> {
    let mut alterations = Vec::new();
    let mut places = Vec::new();
    for Asked { kind, name, changes } in asked {
        let found = context.broker().config_resource(kind, &name);
        let place = found.and_then(|found| Ok(alteration(found, changes?, manner)));
        let place = place.map(|alteration| {
            alterations.push(alteration);
            alterations.len() - 1
        });
        places.push((kind, name, place));
    }
    let altered = context.broker().alter_configs(alterations).await;
    let answered = places.into_iter().map(|(kind, name, place)| {
        let outcome = place.and_then(|at| altered[at].clone());
        Answered {
            kind,
            name,
            error_code: code_of(&outcome),
            error_message: outcome.err().as_ref().and_then(note),
        }
    });
    answered.collect()
}

fn alteration(resource: ConfigResource, changes: Vec<ConfigChange>, manner: Manner) -> AlterConfigs {
    AlterConfigs {
        replace: manner.replace,
        validate_only: manner.validate_only,
        ..AlterConfigs::new(resource, changes)
    }
}
