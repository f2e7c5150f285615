//! `postrider profiles`: how deliveries look and behave, through a running server.

use super::{
    block_on,
    client::Client,
    complain,
    folder::Folder,
    say,
    send::{ServerArgs, payload, roots, segment},
    settings::PlaceArgs,
};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json, value::RawValue};

/// Flags of `postrider profiles`.
#[derive(Debug, clap::Args)]
pub(super) struct ProfilesArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all profiles, the built-in ones first
    List,
    /// Print a profile as JSON
    Show {
        /// Its name
        name: String,
    },
    /// Make a profile
    Create {
        /// Its name
        name: String,
        /// What it says: JSON, @FILE, or - for standard input
        #[arg(long = "profile", value_name = "JSON")]
        profile: String,
    },
    /// Copy a profile under another name
    Clone {
        /// The profile to copy
        name: String,
        /// The copy's name
        copy: String,
        /// What the copy says otherwise, where null takes a field away: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON", default_value = "{}")]
        changes: String,
    },
    /// Delete a profile that nothing uses
    Delete {
        /// Its name
        name: String,
    },
    /// Print the request that a message would become
    Preview(PreviewArgs),
}

/// Flags of `postrider profiles preview`.
#[derive(Debug, clap::Args)]
struct PreviewArgs {
    /// The profile's name
    #[arg(required_unless_present = "endpoint", conflicts_with = "endpoint")]
    name: Option<String>,
    /// Application of the endpoint, by id or uid
    #[arg(long, requires = "endpoint")]
    app: Option<String>,
    /// Endpoint to which the message would go, by id or uid
    #[arg(long, requires = "app")]
    endpoint: Option<String>,
    /// Where it would go
    #[arg(long, value_name = "URL", conflicts_with = "endpoint")]
    to: Option<String>,
    /// Event type
    #[arg(long = "type", value_name = "NAME")]
    event_type: Option<String>,
    /// Payload: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
}

/// Asks the server.
pub(super) fn run(args: ProfilesArgs) -> anyhow::Result<()> {
    let config = args.place.read()?;
    let client = args.server.client(&config, &Folder::of(&config), roots(&config)?)?;
    block_on(act(args.action, &client))
}

async fn act(action: Action, client: &Client) -> anyhow::Result<()> {
    match action {
        Action::List => {
            let all: Value = client.call(Method::GET, "/api/v1/profile", String::new()).await?;
            all.get("data").and_then(Value::as_array).into_iter().flatten().for_each(line);
        }
        Action::Show { name } => {
            let found: Value = client.call(Method::GET, &path(&name)?, String::new()).await?;
            say(&serde_json::to_string_pretty(found.get("profile").unwrap_or(&found))?);
        }
        Action::Create { name, profile } => {
            let body = format!(r#"{{"name":{},"profile":{}}}"#, json!(name), payload(&profile)?);
            made(client.call(Method::POST, "/api/v1/profile", body).await?);
        }
        Action::Clone { name, copy, changes } => {
            let body = format!(r#"{{"name":{},"changes":{}}}"#, json!(copy), payload(&changes)?);
            made(client.call(Method::POST, &format!("{}/clone", path(&name)?), body).await?);
        }
        Action::Delete { name } => {
            client.send(Method::DELETE, &path(&name)?, String::new()).await?.accepted()?;
            complain(&format!("{name} is deleted"));
        }
        Action::Preview(args) => preview(args, client).await?,
    }
    Ok(())
}

fn path(name: &str) -> anyhow::Result<String> {
    Ok(format!("/api/v1/profile/{}", segment(name)?))
}

fn line(profile: &Value) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = if profile.get("builtIn") == Some(&Value::Bool(true)) { "built-in" } else { "own" };
    let about = text(profile.get("profile").and_then(|profile| profile.get("description")));
    say(&format!("{:<20}  {kind:<8}  {about}", text(profile.get("name"))));
}

fn made(profile: Value) {
    say(profile.get("name").and_then(Value::as_str).unwrap_or_default());
}

async fn preview(args: PreviewArgs, client: &Client) -> anyhow::Result<()> {
    let message = message(&args)?;
    let request: Value = match (&args.app, &args.endpoint) {
        (Some(app), Some(endpoint)) => {
            let path = format!("/api/v1/app/{}/endpoint/{}/preview", segment(app)?, segment(endpoint)?);
            client.call(Method::POST, &path, message).await?
        }
        _ => {
            let url = args.to.map(|url| format!(r#","url":{}"#, json!(url))).unwrap_or_default();
            let body = format!(r#"{{"profile":{}{url},"message":{message}}}"#, json!(args.name));
            client.call(Method::POST, "/api/v1/profile/preview", body).await?
        }
    };
    show(&request);
    Ok(())
}

/// The message's JSON, its payload as it was written.
fn message(args: &PreviewArgs) -> anyhow::Result<String> {
    let given: Option<Box<RawValue>> = args.payload.as_deref().map(payload).transpose()?;
    let event_type = args.event_type.as_ref().map(|name| format!(r#""eventType":{}"#, json!(name)));
    let given = given.map(|given| format!(r#""payload":{given}"#));
    Ok(format!("{{{}}}", event_type.into_iter().chain(given).collect::<Vec<_>>().join(",")))
}

/// The request as it would go over the wire; the secret, which is not part of it, on standard error.
fn show(request: &Value) {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    say(&format!("{} {}", text("method"), text("url")));
    for (name, value) in request.get("headers").and_then(Value::as_object).into_iter().flatten() {
        say(&format!("{name}: {}", value.as_str().unwrap_or_default()));
    }
    say("");
    say(text("body"));
    if !text("secret").is_empty() {
        complain(&format!("signed with the secret {}", text("secret")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_previewed_as_it_was_written() {
        let args = |event_type: Option<&str>, payload: Option<&str>| PreviewArgs {
            name: Some("standard".into()),
            app: None,
            endpoint: None,
            to: None,
            event_type: event_type.map(Into::into),
            payload: payload.map(Into::into),
        };
        assert_eq!(message(&args(Some("a\"b"), Some(r#"{"x":  1.0}"#))).unwrap(), r#"{"eventType":"a\"b","payload":{"x":  1.0}}"#);
        assert_eq!(message(&args(None, None)).unwrap(), "{}");
        assert!(message(&args(None, Some("{"))).is_err());
        assert!(path("a/b").is_err());
    }
}
