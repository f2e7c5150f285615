//! The sessions that the documents offer to be pasted, run against the demonstration with the receivers they name.

use crate::{fixture::Site, support::ADMIN_KEY};
use serde_json::Value;
use std::{path::Path, process::Command};

/// The last shell block of a document, without the lines that say where things are.
fn session(document: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems").join(document)).unwrap();
    let (_, block) = text.rsplit_once("```sh\n").unwrap();
    let block = block.split("```").next().unwrap();
    let places = ["URL=", "KEY=", "HOOK=", "SECRET_FILE="];
    let (told, rest): (Vec<_>, Vec<_>) = block.lines().partition(|line| places.iter().any(|place| line.starts_with(place)));
    assert_eq!(told.len(), places.len(), "{document} says where each thing is: {told:?}");
    rest.join("\n")
}

/// Runs a document's session beside a receiver; what the receiver heard, and what the session printed.
async fn paste(document: &str, example: &str, path: &str, args: &[&str]) -> (Vec<Value>, String) {
    let site = Site::start_with_args(&[("RETRY_SPEED", "100")], &["--demo"]).await;
    let plain = ["alumia.md", "nudj.md", "ilara.md"].contains(&document);
    let receiver = if plain { site.plain_example(example, args) } else { site.example(example, args) };
    // Where the secret is the receiver's to choose, it is there before anything else.
    match document {
        "nudj.md" => receiver.trust("a secret of mine"),
        "ilara.md" => receiver.trust("whsec_your_signing_secret"),
        _ => {}
    }
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", &session(document)]);
    shell.env("URL", site.server.url()).env("KEY", ADMIN_KEY).env("HOOK", receiver.url(path));
    shell.env("SECRET_FILE", receiver.secret_file());
    site.demo_is_ready().await;
    for event_type in ["session.ended", "event_attendee.joined_event", "payment_intent.succeeded"] {
        site.api.get(&format!("/api/v1/event-type/{event_type}")).await.expect(200);
    }
    let done = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{printed}{}", String::from_utf8_lossy(&done.stderr));
    (receiver.heard(), printed)
}

#[tokio::test]
async fn alakazam_s() {
    let (heard, printed) = paste("alakazam.md", "alakazam/receiver.py", "/hook", &["--answer", "500,200"]).await;
    assert_eq!(heard.iter().map(|event| event["status"].as_u64().unwrap()).collect::<Vec<_>>(), [500, 200], "{heard:?}");
    assert!(printed.contains("user session") && printed.ends_with("204\n"), "{printed}");
}

#[tokio::test]
async fn connect_s() {
    let (heard, printed) = paste("connect.md", "connect/receiver.mjs", "/webhooks/allfly", &[]).await;
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|event| event["verdict"] == "accepted"), "{heard:?}");
    assert!(printed.contains("Production event hook") && printed.ends_with("204\n"), "{printed}");
}

#[tokio::test]
async fn alumia_s() {
    let (heard, printed) = paste("alumia.md", "alumia/receiver.py", "/in", &[]).await;
    assert_eq!(heard.len(), 2, "the event and the synthetic one: {heard:?}");
    assert!(heard.iter().all(|event| event["verdict"] == "accepted"), "{heard:?}");
    for word in ["\"duplicate\"", "UNAUTHORIZED", "\"rejected\"", "\"delivered\"", "{\"deleted\":true}"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
}

#[tokio::test]
async fn nudj_s() {
    let (heard, printed) = paste("nudj.md", "nudj/receiver.py", "/nudj", &["--answer", "500,200"]).await;
    assert_eq!(
        heard.iter().map(|event| event["verdict"].as_str().unwrap()).collect::<Vec<_>>(),
        ["failed", "accepted"],
        "{heard:?}"
    );
    assert_eq!(heard[0]["id"], heard[1]["id"]);
    for word in ["\"status\":\"retrying\"", "\"status\":\"delivered\"", "\"hasMore\":false"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
}

#[tokio::test]
async fn ilara_s() {
    let (heard, printed) = paste("ilara.md", "ilara/receiver.mjs", "/webhooks/purchases", &["--answer", "500,200"]).await;
    assert_eq!(
        heard.iter().map(|event| event["verdict"].as_str().unwrap()).collect::<Vec<_>>(),
        ["failed", "accepted", "accepted"]
    );
    let said = |at: usize| {
        (heard[at]["data"]["properties"]["amount"].as_f64().unwrap(), heard[at]["metadata"]["delivery_attempt"].clone())
    };
    assert_eq!((said(0), said(1)), ((64.5, 1.into()), (64.5, 2.into())));
    for word in ["\"success_rate\":100.0", "\"delivery_attempt\":2", "\"gte\":50"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    assert!(printed.ends_with("204\n"), "{printed}");
}
