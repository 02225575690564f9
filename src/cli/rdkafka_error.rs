//! Errors of librdkafka as failures of a command.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::Value;

use super::failure::Failure;

/// The failure, with the name Kafka gives to the code.
pub(crate) fn failure(what: &str, error: &KafkaError) -> Failure {
    let Some(code) = error.rdkafka_error_code() else {
        return Failure::failed(format!("{what}: {error}"));
    };
    let number = code as i32;
    // Codes of the client itself are negative, but for Kafka's -1.
    if number >= 0 {
        return super::wire::kafka_failure(what, i16::try_from(number).unwrap_or(-1), None);
    }
    let text = format!("{what}: {code}");
    match code {
        RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::Resolve
        | RDKafkaErrorCode::Authentication => {
            Failure::connect(text).hint("`millpond cluster health` tells which broker is missing")
        }
        RDKafkaErrorCode::MessageTimedOut => Failure::failed(text)
            .facts([("retriable", Value::from(true))])
            .hint("-X message.timeout.ms=… waits longer; `millpond cluster health` tells what is missing"),
        _ => Failure::failed(text),
    }
}

/// Whether librdkafka goes on trying by itself.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}
