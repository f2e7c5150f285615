//! Carrying: records first, then messages with all that hangs on them, in steps of which each is whole.

use super::{
    complain,
    digest::{Digest, Section},
    note::Note,
};
use crate::{
    model::{Kind, Record, Time},
    store::{
        Change,
        transfer::{Bundle, MessagePlace, Owed, Transfer},
    },
};

/// Records in one step.
const RECORDS: usize = 500;
/// Messages in one step.
const MESSAGES: usize = 200;
/// Messages between two lines about how far it is.
const TELL_EVERY: usize = 100_000;

/// What is carried, and whither.
pub(super) struct Carrier<'a> {
    /// The one that gives.
    pub(super) source: &'a dyn Transfer,
    /// The one that takes.
    pub(super) target: &'a dyn Transfer,
    /// Whether all messages go, or only those that something is owed of.
    pub(super) history: bool,
    /// Decides which records have expired, in both.
    pub(super) now: Time,
}

/// Messages of a store in order, with what is owed of them.
struct Walk<'a> {
    store: &'a dyn Transfer,
    owed: Vec<(MessagePlace, Owed)>,
    all: bool,
    after: Option<MessagePlace>,
}

impl<'a> Walk<'a> {
    async fn begin(store: &'a dyn Transfer, all: bool, after: Option<MessagePlace>) -> anyhow::Result<Self> {
        Ok(Walk { store, owed: store.owed().await?, all, after })
    }

    /// The next messages; none at the end.
    async fn next(&mut self) -> anyhow::Result<Vec<Bundle>> {
        loop {
            let places = if self.all { self.store.places(self.after, MESSAGES).await? } else { self.owed_places() };
            let Some(last) = places.last() else { return Ok(Vec::new()) };
            self.after = Some(*last);
            let mut bundles = self.store.bundles(&places).await?;
            for bundle in &mut bundles {
                bundle.owed = self.owed_of(bundle.place());
            }
            // All of them may have gone while something was still owed.
            if !bundles.is_empty() {
                return Ok(bundles);
            }
        }
    }

    fn owed_places(&self) -> Vec<MessagePlace> {
        let start = self.after.map_or(0, |after| self.owed.partition_point(|(place, _)| *place <= after));
        let mut places: Vec<MessagePlace> = Vec::with_capacity(MESSAGES);
        for (place, _) in self.owed.iter().skip(start) {
            if places.last() != Some(place) {
                if places.len() == MESSAGES {
                    break;
                }
                places.push(*place);
            }
        }
        places
    }

    fn owed_of(&self, place: MessagePlace) -> Vec<Owed> {
        let start = self.owed.partition_point(|(other, _)| *other < place);
        self.owed.iter().skip(start).take_while(|(other, _)| *other == place).map(|(_, owed)| *owed).collect()
    }
}

impl Carrier<'_> {
    /// Carries all records. What is there already is written once more.
    pub(super) async fn records(&self) -> anyhow::Result<()> {
        for kind in Kind::ALL.iter().copied() {
            let mut records: Vec<Record> = Vec::new();
            self.source.each(kind, self.now, &mut |stored| records.push(stored.record)).await?;
            for some in records.chunks(RECORDS) {
                let writes = some.iter().cloned().map(Change::Write).collect();
                self.target.change(writes, self.now).await?;
            }
        }
        Ok(())
    }

    /// Carries messages from where the note says, and notes how far it is.
    pub(super) async fn messages(&self, note: &mut Note) -> anyhow::Result<()> {
        let mut walk = Walk::begin(self.source, self.history, note.after).await?;
        let (mut carried, mut told) = (0usize, 0usize);
        loop {
            let bundles = walk.next().await?;
            if bundles.is_empty() {
                return Ok(());
            }
            carried += bundles.len();
            self.target.take_in(bundles).await?;
            note.after = walk.after;
            self.target.set_note(Some(&note.text()?)).await?;
            if carried / TELL_EVERY > told {
                told = carried / TELL_EVERY;
                complain(&format!("{carried} messages so far"));
            }
        }
    }

    /// Counts and digests of all that is carried, as a store has it.
    pub(super) async fn digest(&self, store: &dyn Transfer) -> anyhow::Result<Digest> {
        let mut digest = Digest::default();
        for kind in Kind::ALL.iter().copied() {
            let mut fault = None;
            let mut add = |record: Record| {
                if let Err(error) = digest.add(Section::Records(kind), &record) {
                    fault = Some(error);
                }
            };
            store.each(kind, self.now, &mut |stored| add(stored.record)).await?;
            if let Some(error) = fault {
                return Err(error);
            }
        }
        let mut walk = Walk::begin(store, self.history, None).await?;
        loop {
            let bundles = walk.next().await?;
            if bundles.is_empty() {
                return Ok(digest);
            }
            for bundle in &bundles {
                digest.add_bundle(bundle)?;
            }
        }
    }
}
