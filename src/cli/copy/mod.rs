//! `postrider copy`: carries everything from one store into another, in either direction, so that moving is a command.
//!
//! Both stores are out of use meanwhile, and say so by a note that servers obey: a source whose deliveries have moved would
//! make them a second time, and half a target would lose the other half.

mod digest;
mod key;
mod note;
mod place;
mod transfer;

pub(super) use note::refuse;

use super::{complain, say, settings::PlaceArgs};
use crate::{
    clock::{Clock, SystemClock},
    crypto::hex,
    random::Random,
};
use anyhow::{bail, ensure};
use key::Proven;
use note::{Note, Part};
use place::{Place, Side};
use std::{path::PathBuf, sync::Arc};
use transfer::Carrier;

/// Flags of `postrider copy`.
#[derive(Debug, clap::Args)]
pub(super) struct CopyArgs {
    /// What to copy: a data folder, or postgres://user@host/database
    #[arg(long, value_name = "FOLDER|URL")]
    from: String,
    /// Where to: a data folder, or a database; it must hold nothing yet
    #[arg(long, value_name = "FOLDER|URL", required_unless_present = "abandon")]
    to: Option<String>,
    /// Also what is over: every message with its attempts, not only those that something is owed of
    #[arg(long)]
    history: bool,
    /// Go on with a copy that was cut short
    #[arg(long)]
    resume: bool,
    /// Let servers use the source again afterwards. What was pending is in both then, and would be delivered by both
    #[arg(long)]
    keep_source: bool,
    /// Give a copy up: servers may use the source again
    #[arg(long, conflicts_with_all = ["to", "history", "resume", "keep_source"])]
    abandon: bool,
    /// File of the master key, when it is in none of the folders
    #[arg(long, value_name = "FILE")]
    master_key: Option<PathBuf>,
    #[command(flatten)]
    config: PlaceArgs,
}

/// Copies, compares, and says what is to be done next.
pub(super) fn run(args: &CopyArgs) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let from = Place::read(&args.from)?;
    // Two stores are open at the same time, and one of them may be a database.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let source = from.open_source(clock.clone()).await?;
        let done = match &args.to {
            None => abandon(&source).await,
            Some(to) => {
                let to = Place::read(to)?;
                ensure!(from.shown() != to.shown(), "source and target are the same");
                let target = to.open_target(clock.clone()).await?;
                let done = copy(args, &source, &target, &*clock).await;
                target.store.close().await?;
                done
            }
        };
        source.store.close().await?;
        done
    })
}

async fn abandon(source: &Side) -> anyhow::Result<()> {
    match source.note().await? {
        None => say("there is no copy to give up"),
        Some(_) => {
            source.store.set_note(None).await?;
            say(&format!("servers may use {} again", source.shown));
            say("throw the target away: what both deliver is delivered twice");
        }
    }
    Ok(())
}

async fn copy(args: &CopyArgs, source: &Side, target: &Side, clock: &dyn Clock) -> anyhow::Result<()> {
    let random = Random::from_system()?;
    let key = Proven::find(args, source, target, &random).await?;
    let Some(note) = agree(args, source, target, &random).await? else {
        say(&format!("{} was copied to {} already: nothing is left to do", source.shown, target.shown));
        return Ok(());
    };
    key.give(target, &random).await?;
    say(&format!("master key: opens all {} secrets of the endpoints", key.secrets));
    let now = clock.now();
    let carrier = Carrier { source: &*source.store, target: &*target.store, history: note.history, now };
    let mut taking = note.clone();
    carrier.records().await?;
    carrier.messages(&mut taking).await?;
    let (given, taken) = (carrier.digest(carrier.source).await?, carrier.digest(carrier.target).await?);
    for line in given.table(&taken) {
        say(&line);
    }
    if given != taken {
        bail!("source and target differ, see above: the copy is not finished; --abandon lets the source be used again");
    }
    // The source first: whatever comes between, no two stores are in use.
    let source_note = Note { part: Part::Given, ..source.note().await?.unwrap_or(note) };
    source.store.set_note(Some(&source_note.text()?)).await?;
    target.store.set_note(None).await?;
    if args.keep_source {
        source.store.set_note(None).await?;
    }
    say(&format!("copied from {} to {}: all is there", source.shown, target.shown));
    target.advise();
    if source.database.is_some() {
        say(&format!("the outbox in {} stays there; it is read on with --outbox and its URL", source.shown));
    }
    Ok(())
}

/// Begins a copy, or finds the one to go on with: the target's note. `None`: it came to its end before.
async fn agree(args: &CopyArgs, source: &Side, target: &Side, random: &Random) -> anyhow::Result<Option<Note>> {
    let (given, taken) = (source.note().await?, target.note().await?);
    let (gives, takes) = (|part| Note::new(part, &target.shown, args.history), |part| Note::new(part, &source.shown, args.history));
    match (given, taken) {
        (Some(Note { part: Part::Taking, other, .. }), _) => {
            bail!("{} is itself the unfinished copy of {other}", source.shown)
        }
        (_, Some(Note { part: Part::Giving | Part::Given, other, .. })) => {
            bail!("{} has been copied to {other}; it is no target", target.shown)
        }
        (Some(given), Some(taken)) if given.copy == taken.copy => {
            ensure!(args.resume, "a copy from {} was cut short there: --resume goes on with it", source.shown);
            ensure!(
                taken.history == args.history,
                "that copy was begun {} --history",
                if taken.history { "with" } else { "without" }
            );
            Ok(Some(taken))
        }
        (_, Some(taken)) => bail!("{} holds an unfinished copy of something else: of {}", target.shown, taken.other),
        (Some(given), None) if args.resume && given.part == Part::Given && given.other == target.shown => Ok(None),
        (Some(given), None) => {
            ensure!(given.part == Part::Giving, "{} was copied to {} already", source.shown, given.other);
            ensure!(given.other == target.shown, "{} is being copied to {}; --abandon gives that up", source.shown, given.other);
            ensure!(args.resume, "a copy from {} was cut short at its beginning: --resume goes on with it", source.shown);
            target.must_be_bare().await?;
            let note = Note { copy: given.copy, ..takes(Part::Taking) };
            target.store.set_note(Some(&note.text()?)).await?;
            Ok(Some(note))
        }
        (None, None) => {
            ensure!(!args.resume, "there is no copy to go on with");
            target.must_be_bare().await?;
            let copy = hex(&random.bytes::<8>());
            source.store.set_note(Some(&Note { copy: copy.clone(), ..gives(Part::Giving) }.text()?)).await?;
            let note = Note { copy, ..takes(Part::Taking) };
            target.store.set_note(Some(&note.text()?)).await?;
            Ok(Some(note))
        }
    }
}
