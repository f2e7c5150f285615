//! `docs/PROVIDERS.md` says what the provider table says. `UPDATE=1` writes it anew.

use postrider_signature::{Evidence, Provider, providers};
use std::{env, fmt::Write, fs, path::Path};

const HEAD: &str = "# Providers

Senders whose webhooks are verified by name. This page is made from `postrider-signature/src/providers.toml` by a test
(`UPDATE=1 cargo nextest run -p postrider-signature --test table`), and the test fails when it is not up to date.

A place is `header:Name`, `query:name`, `form:name`, `body:path` (JSON), or `field:name` (an entry of the signature header).
*Id*: what repetitions are recognised by. *Batch*: where the events are that may be split into messages of their own.
*Tried with*: signatures that the provider, its SDK or another verifier has *published*, or ones *computed* from its documentation.
";

/// One cell: what would end it is escaped.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn batch(provider: &Provider) -> String {
    let Some(batch) = &provider.batch else { return String::new() };
    let array = if batch.elements.is_empty() { "the body".to_owned() } else { format!("`body:{}`", batch.elements) };
    let own = |name: &str, place: Option<String>| place.map_or_else(String::new, |place| format!("; {name} `{place}`"));
    let id = own("id", batch.id.as_ref().map(ToString::to_string));
    format!("{array}{id}{}", own("type", batch.event_type.as_ref().map(ToString::to_string)))
}

fn row(provider: &Provider) -> String {
    let tried = match provider.evidence {
        Some(Evidence::Published) => "published",
        Some(Evidence::Computed) => "computed",
        None => "own tests",
    };
    let shake = if provider.handshake.is_some() { "yes" } else { "" };
    let cells = [
        format!("`{}`", provider.name),
        format!("[{}]({})", provider.title, provider.docs),
        provider.summary(),
        provider.event_id(),
        provider.event_type(),
        batch(provider),
        shake.to_owned(),
        tried.to_owned(),
    ];
    format!("| {} |", cells.map(|text| cell(&text)).join(" | "))
}

fn page() -> String {
    let mut page = format!("{HEAD}\n{} rows.\n\n", providers().len());
    page.push_str(
        "| name | sender | how it is proved | id | type | batch | handshake | tried with |\n|---|---|---|---|---|---|---|---|\n",
    );
    for provider in providers() {
        page.push_str(&row(provider));
        page.push('\n');
    }
    page.push_str("\n## Settings\n\nWhat a provider needs beside the secret. `tolerance_s` (seconds) replaces the tolerance of any that signs the time.\n\n");
    page.push_str("| provider | setting | needed | what it is |\n|---|---|---|---|\n");
    for provider in providers() {
        for setting in &provider.settings {
            let needed = if setting.required { "yes" } else { "" };
            let _a_string_takes_all =
                writeln!(page, "| `{}` | `{}` | {needed} | {} |", provider.name, setting.name, cell(&setting.about));
        }
    }
    page
}

#[test]
fn the_page_of_providers_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROVIDERS.md");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == page(), "docs/PROVIDERS.md is not what the table says; UPDATE=1 writes it anew");
}
