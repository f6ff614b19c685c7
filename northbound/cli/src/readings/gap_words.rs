//! Causes of gaps in words.

/// What a cause means; one that a newer central knows is its own word.
pub(super) fn words(cause: &str) -> &str {
    match cause {
        "restart" => "the hub stopped without warning; what it had not acknowledged may be missing",
        "corrupted" => "bytes went bad on the hub's disk",
        "damaged" => "the block went bad at central, which asks the hub for it again",
        "evicted" => "room ran out on the hub, and this was the oldest",
        "thinned" => "room ran out on the hub; the roll-ups are kept",
        "shed" => "the hub was overloaded and let it go before storing it",
        "expired" => "past its retention",
        "missing" => "files of the hub's write-ahead log were gone or cut; at most so many were in them",
        "deleted" => "someone asked for it to be deleted",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use hub_model::GapCause;

    use super::*;

    #[test]
    fn every_cause_has_words() {
        for cause in GapCause::ALL {
            assert!(words(cause.name()).contains(' '), "{}", cause.name());
        }
        assert_eq!(words("moved"), "moved");
    }
}
