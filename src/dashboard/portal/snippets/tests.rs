//! The snippets, run by their own languages against what the schemes of the built-in profiles sign. Node.js and Python are
//! always there; the others are run where they are installed, and read for their shape everywhere.

use super::*;
use crate::model::{BUILT_IN_PROFILES, built_in};
use postrider_signature::{Scheme, Unsigned};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const BODY: &[u8] = br#"{"id":"inv_1","amount":4200,"who":"\u00e4 \xc3\xa4"}"#;

/// One profile of each shape: a list of versions, a list of fields, a prefix, a token.
const SHAPES: [&str; 4] = ["standard", "stripe-like", "github-like", "cloudevents"];

fn recipes() -> Vec<(&'static str, Recipe)> {
    let of = |name: &&'static str| Some((*name, Recipe::of(built_in(name)?)?));
    BUILT_IN_PROFILES.iter().filter_map(of).collect()
}

#[test]
fn every_built_in_scheme_but_message_signatures_is_a_recipe() {
    let known: Vec<&str> = recipes().into_iter().map(|(name, _)| name).collect();
    let others: Vec<&str> = BUILT_IN_PROFILES.iter().copied().filter(|name| !known.contains(name)).collect();
    assert_eq!(others, ["rfc9421"]);
}

#[test]
fn what_cannot_be_written_in_a_few_lines_is_not_written() {
    let read = |text: &str| Recipe::read(&Scheme::from_json(text).unwrap());
    assert!(read(r#"{"algorithm":"hmac-sha512","signature":{"in":"header:X-S","encoding":"base64url"}}"#).is_some());
    for other in [
        r#"{"algorithm":"hmac-sha256","signature":{"in":"header:X-S"},"signed":"{url}{body}"}"#,
        r#"{"algorithm":"hmac-sha256","signature":{"in":"query:s"}}"#,
        r#"{"algorithm":"ed25519","key":{"encoding":"hex"},"signature":{"in":"header:X-S"}}"#,
        r#"{"algorithm":"hmac-sha256","signature":{"in":"header:X-S","prefix":"\"'${#"}}"#,
    ] {
        assert!(read(other).is_none(), "{other}");
    }
}

/// A request that a profile has signed: its secret, and its headers with names in lower case.
struct Genuine {
    secret: String,
    headers: BTreeMap<String, String>,
}

fn genuine(profile: &str) -> Genuine {
    let scheme = built_in(profile).unwrap().scheme.clone().unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let unsigned =
        Unsigned { method: "POST", url: "https://example.com/", headers: &[], body: BODY, id: "msg_1", timestamp_ms: now };
    let signed = scheme.sign_all([secret.as_str(), "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xk"], &Default::default(), &unsigned).unwrap();
    let headers = signed.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    Genuine { secret, headers }
}

/// What a language says of three requests: the genuine one, one with another body, one without a signature.
fn judged(language: &str, profile: &str, recipe: &Recipe) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let code = recipe.code(language).unwrap();
    let Genuine { secret, headers } = genuine(profile);
    let cases = serde_json::json!({ "headers": headers, "body": String::from_utf8_lossy(BODY), "other": "{}", "none": {} });
    fs::write(folder.path().join("cases.json"), cases.to_string()).unwrap();
    let mut command = prepared(language, &code, folder.path(), &headers)?;
    let run = command.current_dir(folder.path()).env("WEBHOOK_SECRET", secret).stdin(Stdio::null()).output().unwrap();
    assert!(run.status.success(), "{language}, {profile}:\n{code}\n{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).unwrap().trim().to_lowercase())
}

/// The command that runs a snippet; `None`: the language is not installed.
fn prepared(language: &str, code: &str, folder: &Path, headers: &BTreeMap<String, String>) -> Option<Command> {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok();
    let (program, file) = match language {
        "javascript" => {
            write("verify.mjs", code);
            let main = "import { verify } from './verify.mjs'; import { readFileSync } from 'node:fs';\n\
                const c = JSON.parse(readFileSync('cases.json'));\n\
                console.log(verify(c.headers, Buffer.from(c.body)), verify(c.headers, Buffer.from(c.other)), verify(c.none, Buffer.from(c.body)));";
            write("main.mjs", main);
            ("node", "main.mjs")
        }
        "python" => {
            write("verify.py", code);
            let main = "import json\nfrom verify import verify\nc = json.load(open('cases.json', encoding='utf-8'))\n\
                print(verify(c['headers'], c['body'].encode()), verify(c['headers'], c['other'].encode()), verify(c['none'], c['body'].encode()))";
            write("main.py", main);
            ("python3", "main.py")
        }
        "ruby" if has("ruby") => {
            let main = "require 'json'\nc = JSON.parse(File.binread('cases.json'))\n\
                puts [verify(c['headers'], c['body']), verify(c['headers'], c['other']), verify(c['none'], c['body'])].join(' ')";
            write("main.rb", &format!("{code}\n{main}"));
            ("ruby", "main.rb")
        }
        "php" if has("php") => {
            let main = "$c = json_decode(file_get_contents('cases.json'), true);\n\
                echo implode(' ', array_map('json_encode', [verify($c['headers'], $c['body']), verify($c['headers'], $c['other']), verify($c['none'], $c['body'])]));";
            write("main.php", &format!("{code}\n{main}"));
            ("php", "main.php")
        }
        "java" if has("javac") => {
            write("Webhook.java", code);
            let puts: String = headers.iter().map(|(name, value)| format!("h.put({name:?}, {value:?});\n")).collect();
            let main = format!(
                "import java.util.*;\npublic class Main {{ public static void main(String[] a) throws Exception {{\n\
                 Map<String, String> h = new HashMap<>();\n{puts}byte[] body = java.nio.file.Files.readAllBytes(java.nio.file.Path.of(\"body\"));\n\
                 System.out.println(Webhook.verify(h, body) + \" \" + Webhook.verify(h, \"{{}}\".getBytes()) + \" \" + Webhook.verify(Map.of(), body)); }} }}"
            );
            write("Main.java", &main);
            fs::write(folder.join("body"), String::from_utf8_lossy(BODY).as_bytes()).unwrap();
            let compiled = Command::new("javac").args(["Webhook.java", "Main.java"]).current_dir(folder).output().unwrap();
            assert!(compiled.status.success(), "{code}\n{}", String::from_utf8_lossy(&compiled.stderr));
            ("java", "Main")
        }
        "go" if Command::new("go").arg("version").output().is_ok() => {
            write("go.mod", "module webhook\n\ngo 1.19\n");
            let main = "package main\n\nimport (\n\t\"encoding/json\"\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n)\n\nfunc main() {\n\
                \tvar c struct{ Headers map[string]string; Body, Other string }\n\ttext, _ := os.ReadFile(\"cases.json\")\n\tjson.Unmarshal(text, &c)\n\
                \th := http.Header{}\n\tfor name, value := range c.Headers { h.Set(name, value) }\n\
                \tfmt.Println(Verify(h, []byte(c.Body)), Verify(h, []byte(c.Other)), Verify(http.Header{}, []byte(c.Body)))\n}\n";
            write("main.go", main);
            write("webhook.go", &code.replace("package webhook", "package main"));
            let mut command = Command::new("go");
            command.args(["run", "."]);
            return Some(command);
        }
        _ => return None,
    };
    let mut command = Command::new(program);
    command.arg(file);
    Some(command)
}

#[test]
fn snippets_accept_what_the_profiles_sign_and_nothing_else() {
    let mut ran = Vec::new();
    for (profile, recipe) in recipes() {
        let bearer = recipe.sends_secret();
        // Those that compile first take their time: one profile of each shape.
        let languages = LANGUAGES.iter().filter(|(word, _)| !matches!(*word, "go" | "java") || SHAPES.contains(&profile));
        for (language, _) in languages {
            if let Some(said) = judged(language, profile, &recipe) {
                // A token proves who sent a request, not what is in it.
                assert_eq!(said, if bearer { "true true false" } else { "true false false" }, "{language}, {profile}");
                ran.push(*language);
            }
        }
    }
    assert!(ran.contains(&"javascript") && ran.contains(&"python"), "{ran:?}");
}
