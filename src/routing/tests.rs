use super::*;
use crate::{
    model::{Metadata, ProfileName, Time},
    random::Random,
};
use std::collections::BTreeMap;

pub(crate) fn vault() -> Vault {
    Vault::from_text(&Vault::new_key(&Random::seeded(1))).unwrap()
}

fn application(id: u128, uid: Option<&str>) -> Application {
    Application {
        id: AppId(id),
        org: OrgId(1),
        uid: uid.map(Into::into),
        name: "Acme".into(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: ProfileName::Standard,
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

pub(crate) fn endpoint(id: u128, event_types: Option<&[&str]>, channels: Option<&[&str]>) -> Endpoint {
    let owned = |list: Option<&[&str]>| list.map(|l| l.iter().map(ToString::to_string).collect());
    Endpoint {
        id: EndpointId(id),
        app: AppId(1),
        org: OrgId(1),
        uid: None,
        url: "https://example.com/hook".into(),
        description: String::new(),
        event_types: owned(event_types),
        channels: owned(channels),
        disabled: None,
        throttle_rate: None,
        metadata: Metadata::new(),
        headers: BTreeMap::new(),
        secrets: Vec::new(),
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

pub(crate) fn app(endpoints: &[Endpoint]) -> Arc<AppRoutes> {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, None));
    endpoints.iter().for_each(|e| routing.put_endpoint(e, &vault).unwrap());
    routing.by_id(AppId(1)).unwrap()
}

#[test]
fn readers_keep_the_entry_they_have() {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, Some("acme")));
    let before = routing.app(OrgId(1), "acme").unwrap();
    routing.put_endpoint(&endpoint(2, None, None), &vault).unwrap();
    routing.put_endpoint(&endpoint(1, None, None), &vault).unwrap();
    assert_eq!(before.routes.len(), 0);
    let ids: Vec<_> = routing.app(OrgId(1), "acme").unwrap().routes.iter().map(|r| r.id.0).collect();
    assert_eq!(ids, [1, 2]);
    routing.remove_endpoint(EndpointId(1));
    assert!(routing.endpoint(EndpointId(1)).is_none());
    assert!(routing.endpoint(EndpointId(2)).is_some());
}

#[test]
fn a_uid_follows_its_application_and_stays_in_its_organization() {
    let routing = Routing::default();
    routing.put_application(application(1, Some("old")));
    routing.put_application(application(1, Some("new")));
    assert!(routing.app(OrgId(1), "old").is_none());
    assert!(routing.app(OrgId(1), "new").is_some());
    assert!(routing.app(OrgId(2), "new").is_none());
    assert!(routing.app(OrgId(2), &AppId(1).to_string()).is_none());
    assert!(routing.app(OrgId(1), &AppId(1).to_string()).is_some());
}

#[test]
fn a_uid_that_moves_on_is_not_taken_from_its_new_owner() {
    let routing = Routing::default();
    routing.put_application(application(1, Some("x")));
    routing.put_application(application(2, Some("x")));
    routing.put_application(application(1, None));
    assert_eq!(routing.app(OrgId(1), "x").unwrap().application.id, AppId(2));
    routing.remove_application(AppId(1));
    assert!(routing.app(OrgId(1), "x").is_some());
}

#[test]
fn removing_an_application_names_its_endpoints() {
    let (routing, vault) = (Routing::default(), vault());
    routing.put_application(application(1, Some("acme")));
    routing.put_endpoint(&endpoint(7, None, None), &vault).unwrap();
    assert_eq!(routing.remove_application(AppId(1)), [EndpointId(7)]);
    assert!(routing.app(OrgId(1), "acme").is_none() && routing.endpoint(EndpointId(7)).is_none());
    // An endpoint that comes after its application went is not taken in.
    routing.put_endpoint(&endpoint(8, None, None), &vault).unwrap();
    assert!(routing.endpoint(EndpointId(8)).is_none());
}
