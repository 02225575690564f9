//! The administrative APIs over a socket: what a client that speaks Kafka's protocol is told, field by field.

use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource as ReplacedResource, AlterableConfig as ReplacedConfig,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::*;
use millpond_log::broker::ErrorCode;

use crate::support::{batch, partition, produce};
use crate::wire::{Served, text};

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn creatable(topic: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(1000)
}

fn resource(kind: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None)
}

#[tokio::test]
async fn a_broker_tells_where_it_listens_and_what_it_advertises() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    let request = DescribeConfigsRequest::default().with_resources(vec![resource(4, "1")]);
    let answer = client.ask(4, request).await;
    let here = format!("PLAINTEXT://{}", at.server.local_addr());
    for name in ["listeners", "advertised.listeners"] {
        let row = answer.results[0].configs.iter().find(|row| *row.name == *name);
        assert_eq!(row.expect("told").value.as_deref(), Some(&here[..]), "{name}");
    }
}

#[tokio::test]
async fn trap_22_a_described_setting_has_default_source_and_synonyms_and_all_are_there() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    let config = CreatableTopicConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("5000")));
    let topic = creatable("orders", 1).with_configs(vec![config]);
    let made = client.ask(7, create(vec![topic])).await;
    assert_eq!(made.topics[0].error_code, 0, "{made:?}");
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource(2, "orders")])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let answer = client.ask(4, request.clone()).await;
    let row = |name: &str| {
        let mut rows = answer.results[0].configs.iter();
        rows.find(|row| *row.name == *name).expect("told").clone()
    };
    let retention = row("retention.ms");
    let synonym = |name: &str, value: &str, source| {
        DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_source(source)
    };
    assert_eq!(
        retention,
        DescribeConfigsResourceResult::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("5000")))
            .with_read_only(false)
            .with_config_source(1)
            .with_is_sensitive(false)
            .with_synonyms(vec![
                synonym("retention.ms", "5000", 1),
                synonym("log.retention.ms", "604800000", 5),
            ])
            .with_config_type(5)
            .with_documentation(retention.documentation.clone())
    );
    assert!(retention.documentation.is_some_and(|text| !text.is_empty()));
    let names: Vec<String> = answer.results[0]
        .configs
        .iter()
        .map(|row| row.name.to_string())
        .collect();
    assert_eq!(names.len(), 34, "{names:?}");
    let one = request.with_include_documentation(false).with_resources(vec![
        resource(2, "orders").with_configuration_keys(Some(vec![text("segment.bytes")])),
    ]);
    let answer = client.ask(1, one).await;
    assert_eq!(answer.results[0].configs.len(), 1);
}

#[tokio::test]
async fn resources_that_are_not_here_get_kafkas_errors() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    let resources = [
        (2, "none"),
        (2, "a/b"),
        (4, "7"),
        (8, "1"),
        (99, "x"),
        (4, "1"),
        (4, ""),
    ];
    let request = DescribeConfigsRequest::default().with_resources(
        resources
            .iter()
            .map(|(kind, name)| resource(*kind, name))
            .collect(),
    );
    let answer = client.ask(4, request).await;
    let codes: Vec<_> = answer.results.iter().map(|result| result.error_code).collect();
    let expected = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::InvalidTopicException,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidRequest,
        ErrorCode::None,
        ErrorCode::None,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
    let broker_rows = &answer.results[5].configs;
    let value = |name: &str| {
        let row = broker_rows.iter().find(|row| *row.name == *name).expect("told");
        row.value.as_ref().map(ToString::to_string)
    };
    assert_eq!(value("node.id").as_deref(), Some("1"));
    assert!(value("log.dirs").is_some_and(|dir| !dir.is_empty()));
    assert!(answer.results[6].configs.is_empty(), "no default was set");
}

#[tokio::test]
async fn topics_are_made_at_every_version_and_refused_one_by_one() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    for version in 2..=7 {
        let topic = format!("orders-{version}");
        let partitions = if version < 4 { 2 } else { -1 };
        let asked = creatable(&topic, partitions).with_replication_factor(if version < 4 { 1 } else { -1 });
        let topics = vec![
            asked,
            creatable("a/b", 1),
            creatable("twice", 1),
            creatable("twice", 1),
        ];
        let made = client.ask(version, create(topics)).await;
        let mut codes: Vec<_> = made
            .topics
            .iter()
            .map(|topic| (topic.name.to_string(), topic.error_code))
            .collect();
        codes.sort();
        assert_eq!(
            codes,
            [
                ("a/b".to_owned(), ErrorCode::InvalidTopicException.code()),
                (topic.clone(), 0),
                ("twice".to_owned(), ErrorCode::InvalidRequest.code()),
            ]
        );
        let row = made.topics.iter().find(|row| row.error_code == 0).expect("made");
        match version {
            5.. => {
                assert_eq!((row.num_partitions, row.replication_factor), (4, 1));
                let configs = row.configs.as_ref().expect("told");
                assert!(configs.iter().any(|config| *config.name == *"retention.ms"));
            }
            _ => assert_eq!(row.num_partitions, -1),
        }
        assert_eq!(!row.topic_id.is_nil(), version >= 7);
    }
    let only = create(vec![creatable("later", 1)]).with_validate_only(true);
    assert_eq!(client.ask(7, only).await.topics[0].error_code, 0);
    assert_eq!(at.broker.partition_count(&crate::support::topic("later")), None);
}

#[tokio::test]
async fn topics_are_removed_by_name_and_by_id() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    let made = client
        .ask(7, create(vec![creatable("a", 1), creatable("b", 1)]))
        .await;
    let id = made
        .topics
        .iter()
        .find(|topic| *topic.name.0 == *"b")
        .expect("made")
        .topic_id;
    let by_name = DeleteTopicsRequest::default().with_topic_names(vec![name("a"), name("none")]);
    let answer = client.ask(5, by_name).await;
    let codes: Vec<_> = answer.responses.iter().map(|row| row.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
    assert!(answer.responses[1].error_message.is_some());
    let by_id = DeleteTopicsRequest::default().with_topics(vec![
        DeleteTopicState::default().with_name(None).with_topic_id(id),
        DeleteTopicState::default()
            .with_name(Some(name("b")))
            .with_topic_id(id),
        DeleteTopicState::default().with_name(None),
        DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(uuid::Uuid::from_u128(9)),
    ]);
    let answer = client.ask(6, by_id).await;
    let codes: Vec<_> = answer.responses.iter().map(|row| row.error_code).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidRequest,
        ErrorCode::UnknownTopicId,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
    assert_eq!(answer.responses[0].name, Some(name("b")));
    assert_eq!(at.broker.describe_topics(None).await.len(), 0);
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_or_the_high_watermark() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    client.ask(7, create(vec![creatable("orders", 2)])).await;
    produce(
        &at.broker,
        None,
        &partition("orders", 0),
        batch(&["a", "b", "c"], None, false),
    )
    .await
    .expect("written");
    for (offset, low_watermark, code) in [
        (1, 1, ErrorCode::None),
        (4, -1, ErrorCode::OffsetOutOfRange),
        (-2, -1, ErrorCode::OffsetOutOfRange),
        (-1, 3, ErrorCode::None),
    ] {
        let asked = DeleteRecordsPartition::default()
            .with_partition_index(0)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![asked]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
        let answer = client.ask(2, request).await;
        let row = &answer.topics[0].partitions[0];
        assert_eq!(
            (row.low_watermark, row.error_code),
            (low_watermark, code.code()),
            "{offset}"
        );
    }
}

#[tokio::test]
async fn replaced_settings_and_incremental_ones_answer_each_resource() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    client.ask(7, create(vec![creatable("orders", 1)])).await;
    let config = |name: &str, value: Option<&str>| {
        ReplacedConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    let replaced = |topic: &str, configs| {
        ReplacedResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configs(configs)
    };
    let request = AlterConfigsRequest::default().with_resources(vec![
        replaced("orders", vec![config("retention.ms", Some("7"))]),
        replaced("none", vec![]),
    ]);
    let answer = client.ask(2, request).await;
    let codes: Vec<_> = answer.responses.iter().map(|row| row.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::UnknownTopicOrPartition.code()]);
    use kafka_protocol::messages::incremental_alter_configs_request as incremental;
    let change = |operation, name: &str, value: Option<&str>| {
        incremental::AlterableConfig::default()
            .with_config_operation(operation)
            .with_name(text(name))
            .with_value(value.map(text))
    };
    let altered = |kind, name: &str, configs| {
        incremental::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(configs)
    };
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![
        altered(2, "orders", vec![change(1, "retention.ms", None)]),
        altered(
            4,
            "1",
            vec![change(0, "sasl.kerberos.min.time.before.relogin", Some("58000"))],
        ),
        altered(4, "", vec![change(0, "retention.sm", Some("1"))]),
        altered(
            32,
            "billing",
            vec![change(0, "consumer.session.timeout.ms", None)],
        ),
    ]);
    let answer = client.ask(1, request).await;
    let codes: Vec<_> = answer.responses.iter().map(|row| row.error_code).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidConfig,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
}

#[tokio::test]
async fn the_cluster_its_quorum_and_its_disk_describe_themselves() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    for version in 0..=2 {
        let answer = client
            .ask(version, DescribeClusterRequest::default().with_endpoint_type(1))
            .await;
        assert_eq!(answer.error_code, 0);
        assert_eq!(answer.cluster_id.to_string(), at.broker.cluster_id());
        assert_eq!(answer.brokers[0].port, i32::from(at.server.local_addr().port()));
        assert_eq!(answer.controller_id.0, 1);
    }
    let controllers = DescribeClusterRequest::default().with_endpoint_type(2);
    assert_eq!(
        client.ask(1, controllers).await.error_code,
        ErrorCode::MismatchedEndpointType.code()
    );
    for version in 0..=2 {
        let topic = TopicData::default()
            .with_topic_name(name("__cluster_metadata"))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        let answer = client
            .ask(version, DescribeQuorumRequest::default().with_topics(vec![topic]))
            .await;
        let quorum = &answer.topics[0].partitions[0];
        assert_eq!((quorum.error_code, quorum.leader_id.0), (0, 1));
        assert_eq!(quorum.current_voters[0].log_end_offset, quorum.high_watermark);
    }
    client.ask(7, create(vec![creatable("orders", 1)])).await;
    for version in 1..=4 {
        let answer = client
            .ask(version, DescribeLogDirsRequest::default().with_topics(None))
            .await;
        let directory = &answer.results[0];
        assert_eq!(directory.topics.len(), 1);
        assert_eq!(directory.topics[0].partitions[0].offset_lag, 0);
        assert_eq!(directory.usable_bytes > 0, version >= 4);
    }
}

#[tokio::test]
async fn trap_24_telemetry_gets_an_empty_subscription_and_pushes_are_taken() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    let asked = client.ask(0, GetTelemetrySubscriptionsRequest::default()).await;
    assert!(!asked.client_instance_id.is_nil() && asked.requested_metrics.is_empty());
    let push = |id| {
        PushTelemetryRequest::default()
            .with_client_instance_id(asked.client_instance_id)
            .with_subscription_id(id)
    };
    assert_eq!(client.ask(0, push(asked.subscription_id)).await.error_code, 0);
    assert_eq!(
        client.ask(0, push(asked.subscription_id + 1)).await.error_code,
        ErrorCode::UnknownSubscriptionId.code()
    );
}

#[tokio::test]
async fn requests_about_acls_are_told_that_security_is_off() {
    let at = Served::new().await;
    let mut client = at.connect().await;
    for version in 1..=3 {
        let answer = client.ask(version, DescribeAclsRequest::default()).await;
        assert_eq!(answer.error_code, ErrorCode::SecurityDisabled.code());
        assert_eq!(answer.error_message, Some(text("No Authorizer is configured.")));
    }
    let create = CreateAclsRequest::default().with_creations(vec![Default::default(); 2]);
    let answer = client.ask(3, create).await;
    assert!(
        answer
            .results
            .iter()
            .all(|row| row.error_code == ErrorCode::SecurityDisabled.code())
    );
    assert_eq!(answer.results.len(), 2);
}
