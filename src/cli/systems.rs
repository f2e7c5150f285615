//! `postrider systems`: the documented systems, their routes and switches, and their event types.

use super::{
    block_on,
    client::Client,
    folder::Folder,
    say,
    send::{ServerArgs, roots},
    serve::systems_options,
    settings::PlaceArgs,
};
use crate::systems::{SURFACES, Seed, Surface};
use anyhow::Context;
use clap::Subcommand;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Flags of `postrider systems`.
#[derive(Debug, clap::Args)]
pub(super) struct SystemsArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the systems with their routes, and whether each is switched on
    List,
    /// Write a system's event types into the catalogue; those that are there stay
    Seed {
        /// Its name, or all
        name: String,
    },
}

/// Lists or seeds.
pub(super) fn run(args: &SystemsArgs) -> anyhow::Result<()> {
    let config = args.place.read()?;
    match &args.action {
        Action::List => {
            let options = systems_options(&config);
            for system in SURFACES {
                let switch = if options.is_on(system.system) { "on" } else { "off" };
                say(&format!("{}  {switch}  {}: {}", system.name(), system.title, system.about));
                system.operations(&options).iter().for_each(|operation| say(&format!("  {operation}")));
                say(&format!("  document: /docs/{}", system.name()));
            }
            say("switch them with `systems` in the configuration, --systems or POSTRIDER_SURFACES");
            Ok(())
        }
        Action::Seed { name } => {
            let chosen = chosen(name)?;
            let client = args.server.client(&config, &Folder::of(&config), roots(&config)?)?;
            block_on(async {
                for system in chosen {
                    let made = seed(&client, system).await?;
                    say(&format!("{}: {made} of {} event types are new", system.name(), system.catalogue().len()));
                }
                Ok(())
            })
        }
    }
}

fn chosen(name: &str) -> anyhow::Result<Vec<&'static Surface>> {
    if name == "all" {
        return Ok(SURFACES.to_vec());
    }
    let names = || SURFACES.iter().map(|system| system.name()).collect::<Vec<_>>().join(", ");
    Ok(vec![Surface::named(name).with_context(|| format!("`{name}` is no system; there are {}", names()))?])
}

/// Writes a system's event types into the catalogue; how many were not there.
pub(super) async fn seed(client: &Client, system: &Surface) -> anyhow::Result<usize> {
    let mut made = 0;
    for entry in system.catalogue() {
        let answer = client.send(Method::POST, "/api/v1/event-type", body(entry).to_string()).await?;
        if answer.status != StatusCode::CONFLICT {
            answer.accepted().with_context(|| format!("the event type {}", entry.name))?;
            made += 1;
        }
    }
    Ok(made)
}

/// An event type as the API takes it.
fn body(seed: &Seed) -> Value {
    let mut body = json!({ "name": seed.name, "description": seed.description, "reserved": seed.reserved,
        "groupName": seed.category });
    if let (Some(body), Some(schemas)) = (body.as_object_mut(), seed.schemas()) {
        body.insert("schemas".into(), schemas.into());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_chosen_by_name() {
        assert_eq!(chosen("all").unwrap().len(), SURFACES.len());
        assert!(chosen("nothing").is_err());
    }
}
