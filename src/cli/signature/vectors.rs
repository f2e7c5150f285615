//! `postrider verify --vectors`: every case of a file against what the file states.

use super::given::{Given, Which, row};
use crate::cli::say;
use anyhow::{Context, ensure};
use postrider_signature::{Settings, TOLERANCE};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// Seconds of tolerance for a case that states no time: none is judged.
const ANY_AGE: u32 = u32::MAX;

/// One case: a request with its stated verdict.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    provider: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    body: String,
    /// Seconds since the epoch; `null` where the case does not depend on it.
    #[serde(default)]
    now: Option<u64>,
    valid: bool,
    #[serde(default)]
    extra: Settings,
    #[serde(default)]
    note: String,
}

fn post() -> String {
    "POST".to_owned()
}

/// Judges all cases; fails on any disagreement.
pub(super) fn run(file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let cases: Vec<Case> = serde_json::from_str(&text).with_context(|| format!("{} is not a list of cases", file.display()))?;
    let total = cases.len();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut disagreements = Vec::new();
    for case in cases {
        let (right, all) = counts.entry(case.provider.clone()).or_default();
        *all += 1;
        match case.disagreement() {
            None => *right += 1,
            Some(how) => disagreements.push(how),
        }
    }
    for (provider, (right, all)) in &counts {
        say(&format!("{provider:<20} {right:>3} of {all:>3}"));
    }
    let right = total - disagreements.len();
    say(&format!("{} providers, {total} cases, {right} as stated", counts.len()));
    disagreements.iter().for_each(|how| say(how));
    ensure!(disagreements.is_empty(), "{} of {total} cases are not judged as stated", disagreements.len());
    Ok(())
}

impl Case {
    /// How the judgement differs from what is stated; `None` when it does not.
    fn disagreement(self) -> Option<String> {
        let provider = match row(&self.provider) {
            Ok(provider) => provider,
            Err(error) => return Some(format!("{}: {error}", self.id)),
        };
        let mut settings = self.extra;
        if self.now.is_none() {
            settings.entry(TOLERANCE.to_owned()).or_insert_with(|| ANY_AGE.to_string());
        }
        let given = Given {
            method: self.method.to_ascii_uppercase(),
            url: self.url,
            headers: self.headers.into_iter().collect(),
            body: self.body.into_bytes(),
            settings,
        };
        let secrets: Vec<&str> = self.secret.as_deref().into_iter().collect();
        let now_ms = self.now.unwrap_or(0).saturating_mul(1000);
        let judged = Which::Provider(provider).judge(&given, &secrets, now_ms);
        let found = match &judged {
            Ok(_) if self.valid => return None,
            Err(_) if !self.valid => return None,
            Ok(_) => "genuine".to_owned(),
            Err((refusal, _)) => format!("{} ({refusal})", refusal.code()),
        };
        let stated = if self.valid { "genuine" } else { "refused" };
        Some(format!("{}: stated {stated}, judged {found}. {}", self.id, self.note))
    }
}
