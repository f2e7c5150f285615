//! The commands as their users call them, without a process.

use super::{sign, vectors, verify};
use crate::cli::{Cli, Command};
use clap::Parser;
use std::{fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/inbound.json");

fn run(line: &[&str]) -> Result<(), String> {
    let cli = Cli::try_parse_from([&["postrider"], line].concat()).map_err(|error| error.to_string())?;
    match cli.command {
        Command::Verify(args) => verify(&args),
        Command::Sign(args) => sign(&args),
        _ => return Err("another command".to_owned()),
    }
    .map_err(|error| format!("{error:#}"))
}

#[test]
fn a_file_of_cases_is_judged_as_stated() {
    assert!(vectors::run(Path::new(VECTORS)).is_ok());
    let mut cases: serde_json::Value = serde_json::from_str(&fs::read_to_string(VECTORS).unwrap()).unwrap();
    let valid = cases[0]["valid"].as_bool().unwrap();
    cases[0]["valid"] = (!valid).into();
    cases[1]["provider"] = "nobody".into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    fs::write(&file, cases.to_string()).unwrap();
    let error = vectors::run(&file).unwrap_err().to_string();
    assert_eq!(error, "2 of 305 cases are not judged as stated");
    fs::write(&file, "{}").unwrap();
    assert!(vectors::run(&file).unwrap_err().to_string().contains("is not a list of cases"));
}

#[test]
fn requests_are_judged() {
    let github = ["verify", "--provider", "github", "--secret", "It's a Secret to Everybody", "-d", "Hello, World!", "-H"];
    let signed = "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(run(&[&github[..], &[signed]].concat()), Ok(()));
    let refused = "the request is not genuine".to_owned();
    assert_eq!(run(&[&github[..], &[&signed.replace("757107", "757108")]].concat()), Err(refused.clone()));
    let token = r#"{"algorithm":"token","signature":{"in":"header:X-Token"}}"#;
    assert_eq!(run(&["verify", "--scheme", token, "--secret", "a", "--secret", "b", "-H", "x-token: b"]), Ok(()));
    assert_eq!(run(&["verify", "--scheme", token, "--secret", "a", "-H", "x-token: b"]), Err(refused));
}

#[test]
fn secrets_and_bodies_come_from_files_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        format!("@{}", folder.path().join(name).display())
    };
    let (secret, body) = (at("secret", b"It's a Secret to Everybody\n"), at("body", b"Hello, World!"));
    let signed = "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(run(&["verify", "--provider", "github", "--secret", &secret, "-d", &body, "-H", signed]), Ok(()));
    let longer = at("body", b"Hello, World!\n");
    assert!(run(&["verify", "--provider", "github", "--secret", &secret, "-d", &longer, "-H", signed]).is_err());
}

#[test]
fn mistakes_are_named() {
    let error = |line: &[&str]| run(line).unwrap_err();
    assert!(error(&["verify", "--provider", "strip"]).contains("near: standard-webhooks, stripe"));
    assert!(error(&["verify"]).contains("--provider NAME or --scheme JSON"));
    assert!(error(&["verify", "--provider", "github", "-H", "broken"]).contains("is not `Name: value`"));
    assert!(error(&["verify", "--provider", "github", "--setting", "x"]).contains("is not NAME=VALUE"));
    assert!(error(&["verify", "--provider", "github", "--now", "noon"]).contains("neither seconds"));
    assert!(error(&["verify", "--vectors", "x", "--provider", "github"]).contains("cannot be used with"));
    assert!(error(&["sign", "--provider", "discord", "--secret", "x"]).starts_with("it cannot be signed"));
    assert_eq!(run(&["sign", "--provider", "mailgun", "--secret", "k", "-d", r#"{"event-data":{"id":"a"}}"#]), Ok(()));
}
