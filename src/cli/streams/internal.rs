//! Which topics and transactional ids belong to an application, by their names.
//!
//! Pure. Always true: a topic that could as well be another application's is not taken for ours: `a-b-counts-changelog` is internal to `a` only if there is no
//! application `a-b`.

/// The internal topics of `application` among `topics`: `{application}-…-changelog` and `{application}-…-repartition`. `groups` are the ids of all applications there are.
pub(super) fn topics(application: &str, topics: &[String], groups: &[String]) -> Vec<String> {
    let own = format!("{application}-");
    let of_another = |topic: &str| {
        groups.iter().any(|group| {
            group.len() > application.len() && group.starts_with(&own) && {
                let prefix = format!("{group}-");
                topic.starts_with(&prefix)
            }
        })
    };
    let internal = |topic: &&String| {
        let name = topic.strip_prefix(&own);
        name.is_some_and(|name| {
            let kind = ["-changelog", "-repartition"]
                .iter()
                .find_map(|kind| name.strip_suffix(kind));
            kind.is_some_and(|name| !name.is_empty())
        }) && !of_another(topic)
    };
    topics.iter().filter(internal).cloned().collect()
}

/// Whether `id` is a transactional id of `application`: `{application}-{worker}`, or as Kafka Streams makes them, `{application}-{process id}-{thread}`.
pub(super) fn is_transactional_id(application: &str, id: &str) -> bool {
    let Some(rest) = id
        .strip_prefix(application)
        .and_then(|rest| rest.strip_prefix('-'))
    else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_uuid = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && parts
                .iter()
                .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    match rest.rsplit_once('-') {
        None => is_number(rest),
        Some((process, thread)) => is_uuid(process) && is_number(thread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn internal_topics_are_found_by_prefix_and_suffix() {
        let all = owned(&[
            "words",
            "words-counts-changelog",
            "words-counts-repartition",
            "words-changelog",
            "words-dead-letters",
            "words-output",
            "swords-counts-changelog",
        ]);
        let found = topics("words", &all, &owned(&["words"]));
        assert_eq!(found, ["words-counts-changelog", "words-counts-repartition"]);
    }

    #[test]
    fn topics_of_an_application_with_a_longer_id_are_left_alone() {
        let all = owned(&["a-counts-changelog", "a-b-counts-changelog"]);
        assert_eq!(topics("a", &all, &owned(&["a", "a-b"])), ["a-counts-changelog"]);
        assert_eq!(
            topics("a-b", &all, &owned(&["a", "a-b"])),
            ["a-b-counts-changelog"]
        );
        assert_eq!(topics("a", &all, &owned(&["a"])), all);
    }

    #[test]
    fn transactional_ids_are_told_apart() {
        for (id, expected) in [
            ("words-0", true),
            ("words-12", true),
            ("words-1f0c2f7e-9f0a-4c55-9d5e-0a1b2c3d4e5f-3", true),
            ("words-more-0", false),
            ("words-", false),
            ("words", false),
            ("swords-0", false),
        ] {
            assert_eq!(is_transactional_id("words", id), expected, "{id}");
        }
    }
}
