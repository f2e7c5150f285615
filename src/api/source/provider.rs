//! `…/source/provider`: the senders whose signatures are known by name.

use crate::api::{Caller, Errors, Problem};
use postrider_signature::{Provider, Setting, providers};
use serde::Serialize;
use utoipa::ToSchema;

/// Names that are proposed for a mistyped one.
const PROPOSED: usize = 3;
/// The longest mistyped name that is compared, in characters; no name is longer.
const MAX_COMPARED: usize = 64;

/// A sender whose signatures are known.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceProviderOut {
    /// What a source's `provider` says.
    #[schema(example = "github")]
    name: String,
    /// For people.
    title: String,
    /// Where the sender documents its signatures.
    #[schema(format = "uri")]
    docs: String,
    /// What a source's `settings` may or must name.
    settings: Vec<SourceProviderSetting>,
    /// Whether several events come in one request, which `split` takes apart.
    batch: bool,
    /// Whether it asks, before it posts, if the URL wants its events; that is answered without being recorded.
    handshake: bool,
    /// Whether the receiver may choose the secret; otherwise it is a key or certificate of the sender's.
    symmetric: bool,
}

/// Something beside the secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct SourceProviderSetting {
    /// Its name.
    name: String,
    /// Whether requests cannot be judged without it.
    required: bool,
    /// What it is.
    about: String,
}

/// All providers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SourceProvidersOut {
    /// In the order of their names.
    data: Vec<SourceProviderOut>,
}

impl From<&'static Provider> for SourceProviderOut {
    fn from(provider: &'static Provider) -> Self {
        let setting = |setting: &Setting| SourceProviderSetting {
            name: setting.name.clone(),
            required: setting.required,
            about: setting.about.clone(),
        };
        SourceProviderOut {
            name: provider.name.clone(),
            title: provider.title.clone(),
            docs: provider.docs.clone(),
            settings: provider.settings.iter().map(setting).collect(),
            batch: provider.batch.is_some(),
            handshake: provider.handshake.is_some(),
            symmetric: provider.symmetric(),
        }
    }
}

/// The provider table: whose webhooks can be verified by name.
#[utoipa::path(
    get,
    path = "/api/v1/source/provider",
    operation_id = "v1.source.list-providers",
    tag = "Source",
    responses(Errors, (status = 200, description = "All providers", body = SourceProvidersOut))
)]
pub(super) async fn list(_caller: Caller) -> Result<axum::Json<SourceProvidersOut>, Problem> {
    Ok(axum::Json(SourceProvidersOut { data: providers().iter().map(SourceProviderOut::from).collect() }))
}

/// What is said of a name that no provider has.
pub(super) fn unknown(name: &str) -> String {
    let near = nearest(name, providers().iter().map(|provider| provider.name.as_ref()));
    format!("There is no such provider. Nearest: {}. GET /api/v1/source/provider lists all.", near.join(", "))
}

/// The names that need the fewest edits, the nearest first.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> = wanted.chars().take(MAX_COMPARED).flat_map(char::to_lowercase).collect();
    let mut ranked: Vec<(usize, &str)> = names.map(|name| (distance(&wanted, name), name)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(PROPOSED).map(|(_, name)| name).collect()
}

/// Edits (insert, delete, replace) between two texts; a name that begins with what was wanted counts as one edit.
fn distance(wanted: &[char], name: &str) -> usize {
    let begun: String = wanted.iter().collect();
    if !begun.is_empty() && name.starts_with(&begun) {
        return 1;
    }
    let mut row: Vec<usize> = (0..=wanted.len()).collect();
    for (down, letter) in name.chars().enumerate() {
        let mut diagonal = down;
        let mut left = down + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, known) in row.iter_mut().skip(1).zip(wanted) {
            let edits = (diagonal + usize::from(*known != letter)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = edits;
            left = edits;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edits() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!((of("gitub", "github"), of("kitten", "sitting"), of("", "abc"), of("abc", "abc")), (1, 3, 3, 1));
        assert_eq!((of("abc", ""), of("strip", "stripe"), of("xyz", "abc")), (3, 1, 3));
    }

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["github", "gitlab", "stripe", "slack", "hubspot-v1", "hubspot-v3"];
        assert_eq!(nearest("gitub", names.into_iter())[0], "github");
        assert_eq!(nearest("GitLab ", names.into_iter())[0], "gitlab");
        assert_eq!(nearest("hubspot", names.into_iter())[..2], ["hubspot-v1", "hubspot-v3"]);
        assert_eq!(nearest(&"x".repeat(100_000), names.into_iter()).len(), PROPOSED);
    }
}
