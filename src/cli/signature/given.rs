//! What both commands are given: a scheme, its settings, and a request.

use anyhow::{Context, anyhow, bail, ensure};
use postrider_signature::{Hint, Provider, Refusal, Request, Scheme, Settings, Signed, Unsigned, Verifier, provider, providers};
use std::{fs, io::Read};

/// Bytes that are read from a file or from standard input at most: a source's largest body, and the most of a key.
const MAX_BYTES: u64 = 5 * 1024 * 1024;

/// How a request is proved.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct WhichArgs {
    /// A provider of the table in docs/PROVIDERS.md, e.g. `stripe`
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// A scheme of your own: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    scheme: Option<String>,
}

/// A request, and what its scheme needs beside the secret.
#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// What the scheme needs beside the secret (`webhook_id=…`); may be repeated
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Header of the request; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Body, byte for byte: text, @FILE, or - for standard input
    #[arg(long, short = 'd', value_name = "BODY", default_value = "")]
    body: String,
    /// Method of the request
    #[arg(long, short = 'X', default_value = "POST")]
    method: String,
    /// Address that the sender called, where the scheme signs it
    #[arg(long, default_value = "https://example.com/")]
    url: String,
}

/// A row of the table, or a scheme.
#[derive(Debug)]
pub(super) enum Which {
    Provider(&'static Provider),
    Scheme(Box<Scheme>),
}

/// A request with memory of its own.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) settings: Settings,
}

impl WhichArgs {
    pub(super) fn read(&self) -> anyhow::Result<Which> {
        match (&self.provider, &self.scheme) {
            (Some(name), _) => row(name).map(Which::Provider),
            (None, Some(source)) => {
                let text = String::from_utf8(bytes("the scheme", source)?).context("the scheme is not UTF-8")?;
                let scheme = Scheme::from_json(&text).context("the scheme cannot be used")?;
                Ok(Which::Scheme(Box::new(scheme)))
            }
            (None, None) => bail!("say how the request is signed: --provider NAME or --scheme JSON"),
        }
    }
}

/// A row of the provider table.
pub(super) fn row(name: &str) -> anyhow::Result<&'static Provider> {
    provider(name).ok_or_else(|| {
        let alike = |p: &&Provider| p.name.contains(name) || name.contains(&*p.name) || p.name.get(..2) == name.get(..2);
        let near: Vec<&str> = providers().iter().filter(alike).map(|p| &*p.name).collect();
        let near = if near.is_empty() { "docs/PROVIDERS.md lists them".to_owned() } else { format!("near: {}", near.join(", ")) };
        anyhow!("there is no provider `{name}` ({near})")
    })
}

impl RequestArgs {
    pub(super) fn read(&self) -> anyhow::Result<Given> {
        let header = |line: &String| {
            let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is not `Name: value`"))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let setting = |pair: &String| {
            let (name, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Given {
            method: self.method.to_ascii_uppercase(),
            url: self.url.clone(),
            headers: self.headers.iter().map(header).collect::<anyhow::Result<_>>()?,
            body: bytes("the body", &self.body)?,
            settings: self.settings.iter().map(setting).collect::<anyhow::Result<_>>()?,
        })
    }
}

impl Given {
    fn borrowed(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }
}

impl Which {
    pub(super) fn verifier(&self, secrets: &[&str], settings: &Settings) -> Result<Verifier, Refusal> {
        match self {
            Which::Provider(provider) => Verifier::new(provider, secrets, settings),
            Which::Scheme(scheme) => Verifier::custom(scheme, secrets, settings),
        }
    }

    /// The judgement, and if the request is refused, the likely mistakes.
    pub(super) fn judge(&self, given: &Given, secrets: &[&str], now_ms: u64) -> Judged {
        let headers = given.borrowed();
        let request = Request { method: &given.method, url: &given.url, headers: &headers, body: &given.body };
        let verdict = self.verifier(secrets, &given.settings).and_then(|verifier| verifier.verify(&request, now_ms));
        verdict.map_err(|refusal| {
            let hints = match self {
                Which::Provider(provider) => provider.explain(secrets, &given.settings, &request, now_ms),
                Which::Scheme(scheme) => scheme.explain(secrets, &given.settings, &request, now_ms),
            };
            (refusal, hints)
        })
    }

    pub(super) fn sign(&self, given: &Given, secret: &str, id: &str, timestamp_ms: u64) -> Result<Signed, Refusal> {
        let headers = given.borrowed();
        let (method, url) = (given.method.as_str(), given.url.as_str());
        let unsigned = Unsigned { method, url, headers: &headers, body: &given.body, id, timestamp_ms };
        match self {
            Which::Provider(provider) => provider.sign(secret, &given.settings, &unsigned),
            Which::Scheme(scheme) => scheme.sign(secret, &given.settings, &unsigned),
        }
    }
}

/// What is known of a genuine request, or why it is refused and what would explain that.
pub(super) type Judged = Result<postrider_signature::Verified, (Refusal, Vec<Hint>)>;

/// A secret: text, or @FILE, from which the line end of an editor is taken.
pub(super) fn secret(source: &str) -> anyhow::Result<String> {
    if !source.starts_with('@') {
        return Ok(source.to_owned());
    }
    let text = String::from_utf8(bytes("the secret", source)?).context("the secret is not UTF-8")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Text, @FILE, or - for standard input.
pub(super) fn bytes(what: &str, source: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match (source, source.strip_prefix('@')) {
        ("-", _) => std::io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes),
        (_, Some(file)) => fs::File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)),
        (text, None) => return Ok(text.as_bytes().to_vec()),
    }
    .with_context(|| format!("cannot read {what} from {source}"))?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "{what} has more than {MAX_BYTES} bytes");
    Ok(bytes)
}
