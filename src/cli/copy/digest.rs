//! Counts and digests, by which source and target are compared: of each section the number of its items, and the sum of
//! their hashes, which does not depend on their order.

use crate::{
    model::{Kind, Record},
    store::transfer::Bundle,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// Records of a kind.
    Records(Kind),
    /// Secrets of endpoints, as they are sealed.
    Secrets,
    /// Messages.
    Messages,
    /// Deliveries that were attempted.
    Deliveries,
    /// Attempts.
    Attempts,
    /// Attempts that are owed.
    Owed,
}

/// Of one section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: u64,
    sum: u128,
}

/// Of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(BTreeMap<Section, Tally>);

impl Section {
    fn name(self) -> &'static str {
        match self {
            Section::Records(kind) => match kind {
                Kind::Organization => "organizations",
                Kind::Application => "applications",
                Kind::Endpoint => "endpoints",
                Kind::EventType => "event types",
                Kind::Token => "keys",
                Kind::Answered => "idempotency keys",
                Kind::Failing => "failing endpoints",
                Kind::Purge => "orders to purge",
                Kind::Source => "sources",
                Kind::Seen => "events seen",
                Kind::Rejection => "refused requests",
                Kind::Profile => "profiles",
                Kind::Retention => "terms of retention",
                Kind::CatchUp => "paces of catching up",
                Kind::Replay => "replays",
                Kind::Erasure => "erasures",
                Kind::Audit => "audit entries",
                Kind::Rotation => "rotations",
                Kind::User => "users",
                Kind::Session => "signed-in users",
                Kind::Triage => "issues seen",
                Kind::Identity => "users of an identity provider",
                Kind::Alert => "alerts",
                Kind::AlertState => "states of alerts",
                Kind::Notice => "notices of alerts",
                Kind::Duplicates => "counts of duplicates",
                Kind::Branding => "brandings",
            },
            Section::Secrets => "secrets",
            Section::Messages => "messages",
            Section::Deliveries => "deliveries tried",
            Section::Attempts => "attempts",
            Section::Owed => "attempts owed",
        }
    }
}

impl Digest {
    /// Counts a record; of an endpoint, its secrets too.
    pub(super) fn add(&mut self, section: Section, record: &Record) -> anyhow::Result<()> {
        if let Record::Endpoint(endpoint) = record {
            endpoint.secrets.iter().try_for_each(|secret| self.count(Section::Secrets, &(endpoint.id, secret)))?;
        }
        self.count(section, record)
    }

    /// Counts a message with all that hangs on it.
    pub(super) fn add_bundle(&mut self, bundle: &Bundle) -> anyhow::Result<()> {
        let place = bundle.place();
        self.count(Section::Messages, &bundle.message)?;
        bundle.deliveries.iter().try_for_each(|delivery| self.count(Section::Deliveries, delivery))?;
        bundle.attempts.iter().try_for_each(|attempt| self.count(Section::Attempts, attempt))?;
        bundle.owed.iter().try_for_each(|owed| self.count(Section::Owed, &(place, owed)))
    }

    fn count<T: Serialize>(&mut self, section: Section, item: &T) -> anyhow::Result<()> {
        // Records are read by name in every store, so their form for people is what has to agree.
        let bytes = match section {
            Section::Records(_) => serde_json::to_vec(item)?,
            _ => postcard::to_stdvec(item)?,
        };
        let hash = Sha256::digest(&bytes);
        let tally = self.0.entry(section).or_default();
        tally.count += 1;
        tally.sum = tally.sum.wrapping_add(hash.first_chunk().map_or(0, |half| u128::from_be_bytes(*half)));
        Ok(())
    }

    /// One line a section: its count and digest, and the other's where they differ.
    pub(super) fn table(&self, other: &Digest) -> Vec<String> {
        let mut sections: Vec<Section> = self.0.keys().chain(other.0.keys()).copied().collect();
        sections.sort_unstable();
        sections.dedup();
        let line = |section: Section| {
            let of = |digest: &Digest| digest.0.get(&section).copied().unwrap_or_default();
            let (here, there) = (of(self), of(other));
            let shown = |tally: Tally| format!("{:>10}  {:032x}", tally.count, tally.sum);
            let verdict = if here == there { "same".to_owned() } else { format!("DIFFERS: {}", shown(there)) };
            format!("{:<18}{}  {verdict}", section.name(), shown(here))
        };
        sections.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrgId, Organization, Time};

    fn digest(names: &[&str]) -> Digest {
        let mut digest = Digest::default();
        for (id, name) in (1..).zip(names) {
            let record = Organization { id: OrgId(id), name: (*name).to_owned(), profile: None, proxy: None, created_at: Time(0) };
            digest.add(Section::Records(Kind::Organization), &Record::Organization(record)).unwrap();
        }
        digest
    }

    #[test]
    fn what_differs_is_seen_and_shown() {
        let (one, same, other, fewer) = (digest(&["a", "b"]), digest(&["a", "b"]), digest(&["a", "c"]), digest(&["a"]));
        assert_eq!(one, same);
        assert!(one != other && one != fewer);
        assert!(one.table(&same)[0].ends_with("same"));
        assert!(one.table(&other)[0].contains("DIFFERS"));
        assert!(fewer.table(&one)[0].contains("DIFFERS") && Digest::default().table(&one)[0].contains("DIFFERS"));
    }
}
