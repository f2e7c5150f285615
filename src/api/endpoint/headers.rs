//! Custom headers of an endpoint: shapes, sealing, patching. No I/O.

use super::header_rules::{self as rules, MAX_HEADERS};
use crate::{
    api::problem::Problem,
    crypto::{Vault, VaultError},
    model::{Endpoint, Sealed},
    random::Random,
    routing::HEADER_PURPOSE,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// All custom headers of an endpoint.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(in crate::api) struct EndpointHeadersIn {
    /// Values by name.
    pub(in crate::api) headers: BTreeMap<String, String>,
}

/// Changes to the custom headers of an endpoint.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointHeadersPatchIn {
    /// Values by name; null removes the header.
    #[serde(default)]
    pub(in crate::api) headers: BTreeMap<String, Option<String>>,
    /// Names of headers to remove.
    #[serde(default)]
    pub(in crate::api) delete_headers: Vec<String>,
}

/// The custom headers of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EndpointHeadersOut {
    /// Values by name, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Names of headers whose values are not shown: they look like credentials.
    pub(crate) sensitive: Vec<String>,
}

/// Sealed headers, as an endpoint keeps them.
pub(super) type SealedHeaders = BTreeMap<String, Sealed>;

/// Checks headers and seals their values.
///
/// # Errors
/// A name or value breaks a rule, a name comes twice (in different case), or there are too many.
pub(super) fn seal(headers: BTreeMap<String, String>, vault: &Vault, random: &Random) -> Result<SealedHeaders, Problem> {
    let mut sealed = SealedHeaders::new();
    if headers.len() > MAX_HEADERS {
        return Err(too_many());
    }
    for (name, value) in headers {
        let fault = |kind, rule: String| Problem::field(&["body", "headers", &name], kind, rule);
        let kept = rules::name(&name).map_err(|rule| fault("pattern", rule))?;
        rules::value(&value).map_err(|rule| fault("pattern", rule))?;
        if sealed.insert(kept, vault.seal(random, HEADER_PURPOSE, value.as_bytes())?).is_some() {
            return Err(fault("duplicate", "The name is there twice: case does not count.".into()));
        }
    }
    Ok(sealed)
}

/// The headers after a patch.
///
/// # Errors
/// As [`seal`].
pub(super) fn patched(
    mut kept: SealedHeaders,
    patch: EndpointHeadersPatchIn,
    vault: &Vault,
    random: &Random,
) -> Result<SealedHeaders, Problem> {
    if patch.headers.len() + patch.delete_headers.len() > 2 * MAX_HEADERS {
        return Err(too_many());
    }
    let mut added = BTreeMap::new();
    let mut removed = patch.delete_headers;
    for (name, value) in patch.headers {
        match value {
            Some(value) => drop(added.insert(name, value)),
            None => removed.push(name),
        }
    }
    for name in removed {
        kept.remove(&name.to_ascii_lowercase());
    }
    add(&mut kept, seal(added, vault, random)?)?;
    Ok(kept)
}

/// Adds headers to others, in place of those with the same names.
///
/// # Errors
/// There are too many.
pub(super) fn add(to: &mut SealedHeaders, more: SealedHeaders) -> Result<(), Problem> {
    to.extend(more);
    if to.len() > MAX_HEADERS { Err(too_many()) } else { Ok(()) }
}

/// What is shown of the headers.
///
/// # Errors
/// A value does not open.
pub(crate) fn shown(endpoint: &Endpoint, vault: &Vault) -> Result<EndpointHeadersOut, VaultError> {
    let mut out = EndpointHeadersOut { headers: BTreeMap::new(), sensitive: Vec::new() };
    for (name, sealed) in &endpoint.headers {
        if rules::is_sensitive(name) {
            out.sensitive.push(name.clone());
        } else {
            out.headers.insert(name.clone(), vault.open_text(HEADER_PURPOSE, sealed)?.to_string());
        }
    }
    Ok(out)
}

fn too_many() -> Problem {
    Problem::field(&["body", "headers"], "length", format!("At most {MAX_HEADERS} headers."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_vault(test: impl FnOnce(&Vault, &Random)) {
        let random = Random::seeded(3);
        test(&Vault::from_text(&Vault::new_key(&random)).unwrap(), &random);
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn a_patch_adds_replaces_and_removes() {
        with_vault(|vault, random| {
            let kept = seal(map(&[("X-A", "1"), ("X-B", "2"), ("X-C", "3")]), vault, random).unwrap();
            let patch = EndpointHeadersPatchIn {
                headers: [("x-a".into(), Some("9".into())), ("X-B".into(), None), ("X-D".into(), Some("4".into()))].into(),
                delete_headers: vec!["x-C".into(), "x-never".into()],
            };
            let after = patched(kept, patch, vault, random).unwrap();
            let open = |name: &str| vault.open_text(HEADER_PURPOSE, after.get(name)?).ok().map(|v| v.to_string());
            assert_eq!(after.keys().collect::<Vec<_>>(), ["x-a", "x-d"]);
            assert_eq!((open("x-a").as_deref(), open("x-d").as_deref()), (Some("9"), Some("4")));
        });
    }

    #[test]
    fn headers_are_bounded_and_unique() {
        with_vault(|vault, random| {
            let many = |n: usize| (0..n).map(|i| (format!("x-{i}"), String::new())).collect::<BTreeMap<_, _>>();
            let full = seal(many(MAX_HEADERS), vault, random).unwrap();
            assert!(seal(many(MAX_HEADERS + 1), vault, random).is_err());
            let one_more = EndpointHeadersPatchIn { headers: [("y".into(), Some("1".into()))].into(), delete_headers: vec![] };
            assert!(patched(full, one_more, vault, random).is_err());
            assert!(seal(map(&[("X-A", "1"), ("x-a", "2")]), vault, random).is_err());
        });
    }
}
