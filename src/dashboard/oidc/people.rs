//! Who comes back from the provider: a user that is known, or one that is made, with the role that is theirs.

use super::{super::error::PageError, token::Claims};
use crate::{
    api::{
        Problem,
        user::{keeping_an_admin, last_admin},
    },
    dashboard::Dashboard,
    flow::Actor,
    model::{Address, Identity, Kind, OrgId, Record, Role, User, UserId},
    store::{Change, StoreError},
};
use serde_json::Value;

/// Tries when somebody else changes the same user.
const TRIES: usize = 5;

/// Who is let in, and as what.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Domains of verified addresses that are let in; empty: any, also without an address.
    pub domains: Vec<String>,
    /// The claim that decides about roles, at every sign-in.
    pub role_claim: Option<String>,
    /// What its values mean; of several the highest counts.
    pub roles: Vec<(String, Role)>,
    /// The role of those of whom nothing says one. `None`: they are not let in, unless they are known already and no claim
    /// decides.
    pub default_role: Option<Role>,
}

impl Admission {
    /// Whether an address lets in.
    fn admits(&self, email: Option<&str>) -> bool {
        let domain = email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        self.domains.is_empty() || domain.is_some_and(|domain| self.domains.iter().any(|known| known == domain))
    }

    /// The role of somebody who has that one already, or who is new.
    fn role(&self, claims: &Claims, has: Option<Role>) -> Option<Role> {
        let Some(claim) = &self.role_claim else { return has.or(self.default_role) };
        let values: Vec<&str> = match claims.all.get(claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let said = self.roles.iter().filter(|(value, _)| values.contains(&value.as_str())).map(|(_, role)| *role).max();
        said.or(self.default_role)
    }
}

fn refused(words: &'static str) -> PageError {
    PageError(Problem::forbidden(words))
}

/// The user that somebody is, as the provider tells of them. `key` names the issuer and the subject.
pub(super) async fn admit(dashboard: &Dashboard, admission: &Admission, claims: &Claims, key: String) -> Result<User, PageError> {
    let email = claims.verified_email();
    if !admission.admits(email.as_deref()) {
        return Err(refused("The identity provider does not say that your address is one of those that are let in here."));
    }
    for _ in 0..TRIES {
        match try_to_admit(dashboard, admission, (claims, email.as_deref()), &key).await {
            Err(PageError(Problem::Conflict(_))) => {}
            done => return done,
        }
    }
    Err(PageError(Problem::Unavailable))
}

async fn try_to_admit(
    dashboard: &Dashboard,
    admission: &Admission,
    (claims, email): (&Claims, Option<&str>),
    key: &str,
) -> Result<User, PageError> {
    let (engine, org) = (&dashboard.api.engine, dashboard.api.options.first_org);
    let now = engine.clock.now();
    let (known, linked) = find(dashboard, org, key, email).await?;
    let role = admission.role(claims, known.as_ref().map(|(user, _)| user.role));
    let role = role.ok_or_else(|| refused("You have no role here. Ask an admin for one."))?;
    let mut changes = Vec::new();
    let user = match known {
        Some((user, _)) if user.role == role && linked => return Ok(user),
        Some((user, revision)) => {
            let keeps = user.role == Role::Admin && role != Role::Admin && last_admin(&*engine.store, &user, now).await?;
            // What the provider says must not leave the organization without an admin.
            let changed = User { role: if keeps { Role::Admin } else { role }, updated_at: now, ..user.clone() };
            if changed.role != user.role {
                changes.extend(keeping_an_admin(&*engine.store, &user, now).await?);
                changes.push(Change::Replace(Record::User(changed.clone()), revision));
            }
            changed
        }
        None => {
            let login = email.ok_or_else(|| refused("The identity provider tells no verified address by which to call you."))?;
            let (id, login, name) = (UserId(engine.random.id(now)), login.to_owned(), claims.name());
            let user = User { id, org, login, name, role, password: None, created_at: now, updated_at: now };
            changes.push(Change::Insert(Record::User(user.clone())));
            user
        }
    };
    if !linked {
        changes.push(Change::Write(Record::Identity(Identity { key: key.to_owned(), org, user: user.id, created_at: now })));
    }
    if changes.is_empty() {
        return Ok(user);
    }
    Actor::is_user(&user);
    match engine.change(changes).await {
        Ok(()) => Ok(user),
        Err(StoreError::Stale | StoreError::Conflict(_)) => Err(PageError(Problem::conflict("changed meanwhile"))),
        Err(error) => Err(error.into()),
    }
}

/// The user that somebody is known as, under their revision, and whether the provider's own name for them says so.
async fn find(dashboard: &Dashboard, org: OrgId, key: &str, email: Option<&str>) -> Result<(Option<(User, u64)>, bool), PageError> {
    let (store, now) = (&dashboard.api.engine.store, dashboard.api.engine.clock.now());
    if let Some(found) = store.find(&Address::identity(key), now).await?
        && let Record::Identity(identity) = found.record
        && let Some(known) = user(dashboard, org, &Address::new(Kind::User, identity.org, identity.user)).await?
    {
        return Ok((Some(known), true));
    }
    match email {
        Some(email) => Ok((user(dashboard, org, &Address::new(Kind::User, org, email)).await?, false)),
        None => Ok((None, false)),
    }
}

/// The organization's user at this address, under their revision.
async fn user(dashboard: &Dashboard, org: OrgId, address: &Address) -> Result<Option<(User, u64)>, StoreError> {
    let engine = &dashboard.api.engine;
    let found = engine.store.find(address, engine.clock.now()).await?;
    Ok(found.and_then(|found| match found.record {
        Record::User(user) if user.org == org => Some((user, found.revision)),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(groups: Value) -> Claims {
        Claims { sub: "u".into(), all: json!({ "groups": groups }).as_object().unwrap().clone() }
    }

    #[test]
    fn roles_are_what_the_claim_says_at_every_sign_in() {
        let roles = vec![("ops".to_owned(), Role::Operator), ("root".to_owned(), Role::Admin)];
        let mapped = Admission { role_claim: Some("groups".into()), roles, ..Admission::default() };
        assert_eq!(mapped.role(&claims(json!(["x", "ops", "root"])), None), Some(Role::Admin), "the highest");
        assert_eq!(mapped.role(&claims(json!("ops")), Some(Role::Admin)), Some(Role::Operator), "also when it was higher");
        assert_eq!(mapped.role(&claims(json!(["x"])), Some(Role::Admin)), None, "who is in no group any more has no role");
        let lenient = Admission { default_role: Some(Role::Viewer), ..mapped };
        assert_eq!(lenient.role(&claims(json!(7)), Some(Role::Admin)), Some(Role::Viewer));
        let plain = Admission { default_role: Some(Role::Viewer), ..Admission::default() };
        assert_eq!(
            (plain.role(&claims(json!([])), Some(Role::Admin)), plain.role(&claims(json!([])), None)),
            (Some(Role::Admin), Some(Role::Viewer))
        );
        assert_eq!(Admission::default().role(&claims(json!([])), None), None);
    }

    #[test]
    fn domains_are_whole_domains() {
        let some = Admission { domains: vec!["example.com".into()], ..Admission::default() };
        assert!(some.admits(Some("ann@example.com")) && Admission::default().admits(None));
        for bad in [None, Some("ann@evil-example.com"), Some("ann@example.com.evil.org"), Some("ann@sub.example.com")] {
            assert!(!some.admits(bad), "{bad:?}");
        }
    }
}
