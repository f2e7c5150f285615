//! `postrider diff`: compares the ids that a receiver has with the endpoint's ledger, and says what is missing.

use super::{
    block_on,
    client::Client,
    folder::Folder,
    say,
    send::{ServerArgs, roots, segment},
    settings::PlaceArgs,
};
use anyhow::{Context, bail};
use http::Method;
use serde::Deserialize;
use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
};

/// Entries of the ledger asked for at once.
const PAGE: usize = 1000;

/// Flags of `postrider diff`.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// Application, by id or uid
    #[arg(long)]
    app: String,
    /// Endpoint, by id or uid
    #[arg(long)]
    endpoint: String,
    /// Look only at messages made at this instant or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The ids that were received (`webhook-id`), the first word of each line, or - for standard input; blank lines and lines that
    /// begin with # are skipped
    #[arg(value_name = "FILE", default_value = "-")]
    received: String,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// A page of the ledger, as far as it matters here.
#[derive(Deserialize)]
struct Page {
    data: Vec<Entry>,
    next: String,
    done: bool,
}

/// A message of the endpoint.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    msg_id: String,
    event_type: String,
    timestamp: String,
    state: String,
}

/// What became clear.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    matched: usize,
    missing: usize,
    waiting: usize,
}

/// Prints a line for each id that is missing, waiting or unknown, and the counts; fails when one is missing.
pub(super) fn run(args: DiffArgs) -> anyhow::Result<()> {
    let config = args.place.read()?;
    let client = args.server.client(&config, &Folder::of(&config), roots(&config)?)?;
    let mut received = match args.received.as_str() {
        "-" => read_ids(std::io::stdin().lock())?,
        file => read_ids(std::fs::File::open(file).with_context(|| format!("cannot read the ids in {file}"))?)?,
    };
    let found = block_on(compare(&client, &args, &mut received))?;
    let mut unknown: Vec<&String> = received.iter().collect();
    unknown.sort_unstable();
    unknown.iter().for_each(|id| say(&format!("unknown {id}")));
    let Found { matched, missing, waiting } = found;
    say(&format!("{matched} received, {missing} missing, {waiting} on their way, {} unknown", unknown.len()));
    if missing > 0 {
        bail!("{missing} messages of this endpoint were not received");
    }
    Ok(())
}

/// What a line begins with that holds no id: notes, and headings of what such lists are exported from.
const COMMENT: char = '#';

/// Ids of a list, each the first word of its line; comments are none.
fn read_ids(from: impl Read) -> anyhow::Result<HashSet<String>> {
    let mut ids = HashSet::new();
    for line in BufReader::new(from).lines() {
        let line = line.context("the list of ids is not text")?;
        ids.extend(line.split_whitespace().next().filter(|word| !word.starts_with(COMMENT)).map(str::to_owned));
    }
    Ok(ids)
}

/// Walks the ledger; what was received is taken out of `received`.
async fn compare(client: &Client, args: &DiffArgs, received: &mut HashSet<String>) -> anyhow::Result<Found> {
    let path = format!("/api/v1/app/{}/endpoint/{}/ledger?limit={PAGE}", segment(&args.app)?, segment(&args.endpoint)?);
    let mut found = Found::default();
    let mut place = match &args.since {
        Some(since) => format!("&since={}", form_urlencoded::byte_serialize(since.as_bytes()).collect::<String>()),
        None => String::new(),
    };
    loop {
        let page: Page = client.call(Method::GET, &format!("{path}{place}"), String::new()).await?;
        page.data.iter().for_each(|entry| judge(entry, received, &mut found));
        if page.done {
            return Ok(found);
        }
        place = format!("&after={}", page.next);
    }
}

fn judge(entry: &Entry, received: &mut HashSet<String>, found: &mut Found) {
    let Entry { msg_id, event_type, timestamp, state } = entry;
    if received.remove(msg_id) {
        found.matched += 1;
        return;
    }
    // What is still owed will come by itself.
    let waits = matches!(state.as_str(), "pending" | "in_flight" | "held");
    let word = if waits { "waiting" } else { "missing" };
    if waits {
        found.waiting += 1
    } else {
        found.missing += 1
    }
    say(&format!("{word} {msg_id} {state} {event_type} {timestamp}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_first_words() {
        let ids = read_ids(&b"# received\nmsg_1 200 ok\n\n  msg_2\r\n#msg_3\n \t# msg_4\nmsg_1 # twice\n"[..]).unwrap();
        assert_eq!(ids, HashSet::from(["msg_1".to_owned(), "msg_2".to_owned()]));
    }

    #[test]
    fn what_is_owed_is_not_missing() {
        let mut received = HashSet::from(["a".to_owned(), "x".to_owned()]);
        let mut found = Found::default();
        for (id, state) in [("a", "delivered"), ("b", "delivered"), ("c", "exhausted"), ("d", "held"), ("e", "in_flight")] {
            let entry =
                Entry { msg_id: id.into(), event_type: "t".into(), timestamp: "2026-01-01T00:00:00Z".into(), state: state.into() };
            judge(&entry, &mut received, &mut found);
        }
        assert_eq!(found, Found { matched: 1, missing: 2, waiting: 2 });
        assert_eq!(received, HashSet::from(["x".to_owned()]));
    }
}
