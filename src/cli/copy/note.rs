//! The notes that a copy leaves in both of its stores: which copy it is, which part the store has in it, and how far it is.

use crate::store::transfer::MessagePlace;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// A store's part in a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// It is being copied.
    Giving,
    /// It was copied.
    Given,
    /// It is being made.
    Taking,
}

/// What a store notes of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The same in both.
    pub(super) copy: String,
    /// The store's part.
    pub(super) part: Part,
    /// The other store, for people.
    pub(super) other: String,
    /// Whether all messages are copied.
    pub(super) history: bool,
    /// The last message that the target has.
    pub(super) after: Option<MessagePlace>,
}

impl Note {
    /// A note without the copy's name.
    pub(super) fn new(part: Part, other: &str, history: bool) -> Self {
        Note { copy: String::new(), part, other: other.to_owned(), history, after: None }
    }

    /// As it is kept.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The note of a text.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        serde_json::from_str(text).context("the note about a copy cannot be read")
    }
}

/// Refuses to serve a store that has a part in a copy.
pub(in crate::cli) fn refuse(note: Option<&str>) -> anyhow::Result<()> {
    let Some(note) = note.map(Note::read).transpose()? else { return Ok(()) };
    let other = note.other;
    match note.part {
        Part::Giving => {
            bail!("this store is being copied to {other}: finish that with `postrider copy --resume`, or give it up with --abandon")
        }
        Part::Given => bail!(
            "this store was copied to {other}, which delivers what was pending: serve that one. To use this one all the same, and \
             deliver again what was pending: `postrider copy --abandon --from` this store"
        ),
        Part::Taking => bail!("this store is an unfinished copy of {other}: finish it with `postrider copy --resume`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_with_a_part_in_a_copy_is_not_served() {
        refuse(None).unwrap();
        for (part, word) in [(Part::Giving, "--abandon"), (Part::Given, "serve that one"), (Part::Taking, "--resume")] {
            let text = Note::new(part, "postgres://x/y", false).text().unwrap();
            let refused = refuse(Some(&text)).unwrap_err().to_string();
            assert!(refused.contains(word) && refused.contains("postgres://x/y"), "{refused}");
        }
        assert!(refuse(Some("?")).is_err());
    }
}
